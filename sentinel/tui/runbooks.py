"""What the policy says of a runbook's steps, with examples where the node's values will stand.

The packs are those of this program: a site's own rules may say otherwise, and the node says last.
"""

from __future__ import annotations

from sentinel.domain import Verdict
from sentinel.policy import rules, validate
from sentinel.protocol import Runbook
from sentinel.tui.render.runbook import EXAMPLES, filled

_FACTS = validate.Facts(pids=frozenset({int(EXAMPLES["pid"])}), captured=True)


def verdicts(runbook: Runbook) -> dict[str, Verdict]:
    """Return the verdict on each command template of `runbook`."""
    # The packs' own examples were judged when this release was tested.
    policy = rules.load(examples=False)
    steps = (*runbook.steps, *runbook.escalation)
    return {step.run: validate.judge(policy, filled(step.run), _FACTS).verdict for step in steps}

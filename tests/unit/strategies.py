"""Hypothesis strategies for every noun, derived from its declared types and bounds."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as mi

from sentinel.domain import Value

# Texts that have a Unicode encoding (no lone surrogates): what can stand in a value at all.
_TEXT = st.characters(exclude_categories=["Cs"])


def values(kind: type[Value]) -> st.SearchStrategy[Value]:
    fields = {field.name: _of(mi.type_info(field.type)) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


def _of(info: mi.Type) -> st.SearchStrategy:
    match info:
        case mi.UnionType():
            return st.one_of(*(_of(part) for part in info.types))
        case mi.NoneType():
            return st.none()
        case mi.BoolType():
            return st.booleans()
        case mi.IntType():
            low, high = info.ge, info.le
            return st.integers(-(2**53) if low is None else low, 2**53 if high is None else high)
        case mi.StrType() if info.pattern is not None:
            return st.from_regex(info.pattern, fullmatch=True).filter(
                lambda text: len(text) <= (info.max_length or 512) and "\n" not in text
            )
        case mi.StrType():
            return st.text(
                _TEXT, min_size=info.min_length or 0, max_size=min(info.max_length or 9, 9)
            )
        case mi.EnumType():
            return st.sampled_from(info.cls)
        case mi.VarTupleType():
            least = info.min_length or 0
            return st.lists(_of(info.item_type), min_size=least, max_size=least + 2).map(tuple)
        case mi.TupleType():
            return st.tuples(*(_of(part) for part in info.item_types))
        case mi.DictType():
            return st.dictionaries(_of(info.key_type), _of(info.value_type), max_size=2)
        case mi.StructType():
            return st.deferred(lambda: values(info.cls))
    raise TypeError(info)

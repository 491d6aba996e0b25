from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

TABLE = r"""
allow kubectl get pods -n prod -o wide
allow kubectl -n prod get pods
allow kubectl --namespace=prod logs web-0 --tail=50 --previous
allow kubectl logs deploy/web -n prod --since=10m -c app
allow kubectl describe pod api-0 -n api
allow kubectl get secrets -n prod
allow kubectl get secret x -o name
allow kubectl get nodes -o jsonpath='{.items[*].metadata.name}'
allow kubectl get pods -o json
allow kubectl rollout status sts/db -n api
allow kubectl auth can-i --list
allow kubectl config view --minify
allow kubectl cluster-info
allow kubectl top pods -A --sort-by=cpu
allow oc status
no kubectl ## no verb
no kubectl get ## no resource
no kubectl describe -n x ## no resource
no kubectl delete pod x ## not on the list
no kubectl exec x id ## not on the list
no kubectl rollout restart deploy/x ## not on the list
no kubectl rollout undo deploy/x ## not on the list
no kubectl config set-context x ## not on the list
no kubectl config view --raw ## --raw
no kubectl config view --flatten ## --flatten
no kubectl cluster-info dump ## cluster-info dump
no kubectl --kubeconfig /x get pods ## --kubeconfig
no kubectl get pods --kubeconfig=/x ## --kubeconfig
no kubectl -s https://evil get pods ## -s
no kubectl get pods --server=https://evil ## --server
no kubectl get pods --token x ## --token
no kubectl --context prod get pods ## --context
no kubectl -A get delete ## -A
no kubectl -l get delete pod x ## -l
no kubectl get --raw /api ## --raw
no kubectl get -f /x ## -f
no kubectl get pods -w ## -w
no kubectl get pods --watch=true ## not of type never
no kubectl logs x -f ## -f
no kubectl get pods -o go-template-file=/x ## not of type kout
no kubectl get pods --template='{{.}}' ## --template
no kubectl get 'pods;id' ## is not a resource
no kubectl get pods -- -x ## --
no kubectl get secret x -o yaml ## secret or configuration values
no kubectl get Secret x -oyaml ## secret or configuration values
no kubectl get secret x -o name -o json ## secret or configuration values
no kubectl get pods,secrets -o json ## secret or configuration values
no kubectl get pod/x secret/y -o json ## secret or configuration values
no kubectl get secrets.v1. x -o json ## secret or configuration values
no kubectl get cm x -o jsonpath='{.data}' ## secret or configuration values
no kubectl get pods,cm -o json ## secret or configuration values
no kubectl get sa -o json ## secret or configuration values
no kubectl describe secret x ## shows what it holds
no kubectl describe pods/x secrets/y ## shows what it holds
no kubectl describe cm x ## shows what it holds
no kubectl describe sa ## shows what it holds
"""


@pytest.mark.parametrize(("text", "reason"), rows(TABLE))
def test_kubectl(policy, text, reason):
    agree(policy, "kubectl", text, reason)

"""skipgrid operators: the page of ONNX operators, and where each runs."""

from .console import bar, wrote
from .files import project, write


def operators() -> None:
    """Try the node tests of the onnx package, and write docs/operators.md: what runs on the accelerator, what on the host, and why."""
    from skipgrid.benches.node_tests import FAILED, node_tests, operators_page, trials

    path = project() / "docs" / "operators.md"
    tests = node_tests()
    with bar() as progress:
        tried = {
            operator: [trial for case in progress.track(cases, description=operator) for trial in trials(case)]
            for operator, cases in tests.items()
        }
    write(path, operators_page(tried, {operator: len(cases) for operator, cases in tests.items()}))
    wrote(path)
    failed = [trial for some in tried.values() for trial in some if trial.where == FAILED]
    if failed:
        raise RuntimeError(f"{len(failed)} models fail; the first is {failed[0].test} ({failed[0].form}): {failed[0].remark}")

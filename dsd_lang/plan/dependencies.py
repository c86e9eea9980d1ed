"""The dependency graph of phases, used by the runner's scheduler and for pictures."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from dsd_lang.base.errors import DsdError
from dsd_lang.plan.model import Plan
from dsd_lang.plan.parts import Phase


def dependency_graph(plan: Plan) -> nx.DiGraph:
    """A node for each phase id, in execution order; edges go from a phase to the phases that need it.

    An edge of kind `parent` leads from the phase whose state a phase starts from, one of kind `reference` (with the
    ``arguments`` that name it) from a phase whose checkpoint it uses.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(phase.id for phase in plan.phases)
    for phase in plan.phases:
        for needed, argument in references_of(phase):
            if needed not in graph:
                continue
            if graph.has_edge(needed, phase.id):
                graph.edges[needed, phase.id]["arguments"] += (argument,)
            else:
                graph.add_edge(needed, phase.id, kind="reference", arguments=(argument,))
        if phase.parent is not None:
            known = graph.edges[phase.parent, phase.id]["arguments"] if graph.has_edge(phase.parent, phase.id) else ()
            graph.add_edge(phase.parent, phase.id, kind="parent", arguments=known)
    return graph


def execution_order(plan: Plan) -> tuple[Phase, ...]:
    """The phases in an order in which each comes after all it needs, otherwise as written.

    Raises :class:`DsdError` for phases that need each other, which a compiled plan cannot have.
    """
    graph = dependency_graph(plan)
    phases = {phase.id: phase for phase in plan.phases}
    position = {identifier: index for index, identifier in enumerate(phases)}
    try:
        ordered = list(nx.lexicographical_topological_sort(graph, key=position.__getitem__))
    except nx.NetworkXUnfeasible as error:
        cycle = " -> ".join(source for source, _ in nx.find_cycle(graph))
        raise DsdError(f"the plan's phases need each other: {cycle}", help="compile the schedule again") from error
    return tuple(phases[identifier] for identifier in ordered)


def references_of(phase: Phase) -> Iterator[tuple[str, str]]:
    """The phases whose checkpoints a phase refers to, with the arguments that do so."""
    sources = (("from", phase.from_), ("restore", phase.restore), ("clock", phase.clock))
    for argument, source in sources:
        if source.reference is not None and source.reference.phase is not None:
            yield source.reference.phase, argument
    if phase.distill is not None and phase.distill.teacher.phase is not None:
        yield phase.distill.teacher.phase, "distill"

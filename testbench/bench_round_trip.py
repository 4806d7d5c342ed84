"""decoder(encoder(x)) is x, for every k, edges of the code, and tokens cut in any way."""

import cocotb

from skipgrid.rtl.layouts import Token
from streams import PROFILES, Bench, Scoreboard
from tensors import covered, edge_tensors, elements_of, random_tokens, sparse


@cocotb.test
async def round_trip(dut: object) -> None:
    bench = Bench(dut)
    sent, back = bench.source("sent", Token), bench.sink("back", Token)
    failures = bench.record("failed")
    await bench.reset()
    board = Scoreboard("tensors")
    tensors = [(k, tensor) for k in range(8) for tensor in edge_tensors(k, bench.numbers)]
    tensors += [(k, sparse(bench.numbers, bench.random.randint(1, 100), bench.random.random())) for k in range(8) for _ in range(6)]
    bench.random.shuffle(tensors)
    taken: list[dict[str, int]] = []
    sent.listeners.append(taken.append)
    for k, tensor in tensors:
        sent.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
        back.behave(bench.random.choice(PROFILES[:2] + PROFILES[3:]))
        taken.clear()
        back.received.clear()
        bench.set(k=k)
        await bench.step()
        sent.send(*random_tokens(tensor, k, bench.random))
        await bench.pulse(start=1, elements=tensor.size)
        await bench.until(lambda: not sent.queue and not bench.get("busy"), "the tensor has come back")
        board.expect(elements_of(taken, covered(taken)))
        board.see(elements_of(back.received, tensor.size))
        assert [token["last"] for token in back.received] == [0] * (len(back.received) - 1) + [1]
    board.finish(len(tensors))
    assert not failures

"""A line that damages what goes over it."""

import random

from skipgrid.host.devices.link import Line

DAMAGES = ("flip", "cut", "drop byte", "repeat", "garbage", "lose", "delay", "join")


class DamagedLine:
    """Passes frames on, both ways, and some of them damaged, lost, repeated, or behind the next one.

    share: of the frames. frames, damaged: how many so far.
    """

    def __init__(self, line: Line, share: float, rng: random.Random) -> None:
        self.line = line
        self.share = share
        self.random = rng
        self.frames = 0
        self.damaged = dict.fromkeys(DAMAGES, 0)
        self._late = {"out": b"", "in": b""}
        self._partial = b""

    def write(self, data: bytes) -> None:
        *frames, rest = data.split(b"\0")
        self.line.write(b"".join(self._pass(frame + b"\0", "out") for frame in frames) + rest)

    def read(self, timeout: float) -> bytes:
        data = self.line.read(timeout)
        *frames, self._partial = (self._partial + data).split(b"\0")
        passed = b"".join(self._pass(frame + b"\0", "in") for frame in frames)
        if data and not passed:
            return b"\0"  # something came, and was lost: not yet a time-out
        return passed

    def _pass(self, frame: bytes, way: str) -> bytes:
        """What arrives of a frame with its delimiter."""
        if frame == b"\0":
            return frame
        self.frames += 1
        late, self._late[way] = self._late[way], b""
        if self.random.random() >= self.share:
            return frame + late
        how = self.random.choice(DAMAGES)
        self.damaged[how] += 1
        place = self.random.randrange(len(frame))
        if how == "flip":
            bits = int.from_bytes(frame, "little")
            for _ in range(self.random.choice((1, 1, 2, 8))):
                bits ^= 1 << self.random.randrange(8 * len(frame))
            frame = bits.to_bytes(len(frame), "little")
        elif how == "cut":
            frame = frame[:place] + b"\0"
        elif how == "drop byte":
            frame = frame[:place] + frame[place + 1 :]
        elif how == "repeat":
            frame *= self.random.choice((2, 3))
        elif how == "garbage":
            garbage = self.random.randbytes(self.random.choice((1, 5, 300)))
            frame = garbage + self.random.choice((b"", b"\0")) + frame
        elif how == "lose":
            frame = b""
        elif how == "delay":
            self._late[way], frame = frame, b""
        elif how == "join":
            frame = frame[:-1]
        return frame + late

"""The DMA's registers: one table, from which the hardware and the firmware's header are made."""

from skipgrid.rtl.register_map import Access, Register

_READ, _WRITE, _BOTH = Access.READ, Access.WRITE, Access.READ_WRITE
_ENDS = (
    ("sent", 2, 1, "all words of the packet have been taken from the sender"),
    ("received", 3, 1, "the packet has ended, and all of it that there is room for is in memory"),
    ("send_failed", 4, 1, "memory answered the sender with an error, which gave the packet up"),
    ("receive_failed", 5, 1, "memory answered the receiver with an error; nothing was written from then on"),
)

REGISTERS = {
    register.name: register
    for register in (
        Register(
            "CONTROL",
            0x00,
            _WRITE,
            "acts on the bits that are written as 1",
            (
                ("send", 0, 1, "the sender begins, and clears sent and send_failed; SLVERR while it is sending"),
                ("receive", 1, 1, "the receiver begins, and clears received and receive_failed; SLVERR while it is receiving"),
                ("cancel", 2, 1, "both give up what is under way; when STATUS says that they have, nothing is written any more"),
                ("clear", 3, 1, "clears all bits of STATUS that interrupt"),
            ),
            reset=None,
        ),
        Register(
            "STATUS",
            0x04,
            _READ,
            "what both are doing",
            (
                ("sending", 0, 1, "the sender is under way"),
                ("receiving", 1, 1, "the receiver is under way"),
                *_ENDS,
                ("cut", 6, 1, "the last packet that was received ended with TUSER"),
            ),
        ),
        Register("INTERRUPT_ENABLE", 0x08, _BOTH, "what interrupts; bits as in STATUS, all others are ignored", _ENDS),
        Register("SEND_ADDRESS", 0x10, _BOTH, "in bytes; the lowest two bits are ignored; SLVERR while the sender is under way"),
        Register("SEND_WORDS", 0x14, _BOTH, "of the packet; 0 for none, which is sent at once; SLVERR while the sender is under way"),
        Register(
            "SEND_PORT",
            0x18,
            _BOTH,
            "where it goes; SLVERR while the sender is under way",
            (("input", 0, 1, "to the accelerator's input stream, instead of its load port"),),
        ),
        Register("SEND_MOVED", 0x1C, _READ, "words that were taken since the sender began"),
        Register("SEND_WAITS", 0x20, _READ, "cycles since then in which it had no word to offer"),
        Register("RECEIVE_ADDRESS", 0x30, _BOTH, "in bytes; the lowest two bits are ignored; SLVERR while the receiver is under way"),
        Register("RECEIVE_ROOM", 0x34, _BOTH, "words that are written at most; SLVERR while the receiver is under way"),
        Register("RECEIVE_MOVED", 0x38, _READ, "words that came since the receiver began, also those that found no room"),
    )
}
CONTROL, STATUS, INTERRUPT_ENABLE = (REGISTERS[name] for name in ("CONTROL", "STATUS", "INTERRUPT_ENABLE"))
ENDS = {name: "send" if name.startswith("sen") else "receive" for name, *_ in _ENDS}
"""Fields that interrupt, and that of CONTROL that clears each."""

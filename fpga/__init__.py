"""What puts an accelerator on a board: the boards, the link to the host, building and flashing."""

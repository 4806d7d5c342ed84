"""What runs a program: what every device offers, and a board on a serial port. Simulated ones are in simulation/."""

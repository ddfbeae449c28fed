"""`python -m cronbeat` is the command."""

from cronbeat.cli import command

if __name__ == "__main__":
    command()

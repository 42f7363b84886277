"""``python -m encola``: the same as the command ``encola``."""

from encola.cli import main

if __name__ == "__main__":
    main()

"""``python -m fbkit.cli``."""

from fbkit.cli import main

if __name__ == "__main__":
    main()

"""Where `detlab`, `python -m detlab` and torchrun begin."""

import sys


def main() -> None:
    """Run the command line; where a package is missing, say which and how to get it."""
    try:
        from detlab.cli import main as run
    except ModuleNotFoundError as missing:
        from detlab.doctor import examine

        print(f"detlab: {missing}", file=sys.stderr)
        print(*examine(), sep="\n")
        raise SystemExit(2) from None
    run()


if __name__ == "__main__":
    main()

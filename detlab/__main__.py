"""Where `detlab`, `python -m detlab` and torchrun begin."""

import sys


def main() -> None:
    """Run the command line; where a package is missing, say which and how to get it."""
    try:
        from detlab.cli import main as run
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("detlab"):
            raise
        tell_what_is_missing(missing)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("detlab: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    run()


def tell_what_is_missing(missing: ModuleNotFoundError) -> None:
    """Print what the doctor says of Python and its packages, for which it needs none."""
    from detlab.doctor import check_packages, check_python

    print(f"detlab: {missing}", file=sys.stderr)
    for finding in (check_python(sys.version_info[:2]), *check_packages()):
        print(finding, file=sys.stderr)


if __name__ == "__main__":
    main()

"""Where `detlab`, `python -m detlab` and torchrun begin."""

import sys


def main() -> None:
    """Run the command line; where a package is missing or broken, say which and what fixes it."""
    try:
        from detlab.cli.commands import main as run
    except (ImportError, OSError, RuntimeError) as error:
        if (getattr(error, "name", None) or "").startswith("detlab"):
            raise
        tell_what_is_wrong(error)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("detlab: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    run()


def tell_what_is_wrong(error: Exception) -> None:
    """Print what the doctor says of Python and its packages, for which it needs none."""
    from detlab.cli.doctor import INSTALL, check_packages, check_python

    print(f"detlab: {error}", file=sys.stderr)
    packages = list(check_packages())
    for finding in (check_python(sys.version_info[:2]), *packages):
        print(finding, file=sys.stderr)
    if all(finding.remedy is None for finding in packages):
        again = f"{INSTALL} --force-reinstall torch torchvision"
        print(f"all are there, but do not fit together; try\n{again}", file=sys.stderr)


if __name__ == "__main__":
    main()

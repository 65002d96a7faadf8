"""Many cases that follow from their numbers, as one test."""

import concurrent.futures

import pytest

WORKERS = 2


def run_all(run, numbers):
    """Two at a time; all failures are told at once."""
    failures = []
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        waiting = {pool.submit(run, number): number for number in numbers}
        for future in concurrent.futures.as_completed(waiting):
            why = future.exception()
            if isinstance(why, pytest.skip.Exception):
                pool.shutdown(cancel_futures=True)
                raise why
            if why:
                failures.append(f"[{waiting[future]}] {type(why).__name__}: {why}")
    assert not failures, f"{len(failures)} of {len(waiting)} failed:\n" + "\n".join(sorted(failures))

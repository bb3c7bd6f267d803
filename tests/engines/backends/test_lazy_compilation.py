"""Compilations in calls of runners are counted."""

import threading

from engines.backends.lazy_compilation import compilations_begun, count_compilation


def test_every_compilation_is_counted_whichever_thread_begins_it() -> None:
    before = compilations_begun()
    threads = [threading.Thread(target=count_compilation) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compilations_begun() == before + 8

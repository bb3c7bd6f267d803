import threading

from streaming.latest import Latest


def test_a_full_slot_drops_the_old_frame_and_counts_it():
    slot = Latest[str]()
    for item in ("a", "b", "c"):
        slot.put(item)
    assert slot.take(0) == ("c", 2)
    slot.put("d")
    assert slot.take(0) == ("d", 0)
    assert slot.dropped_total == 2


def test_an_empty_slot_gives_none_after_the_time_out():
    assert Latest[int]().take(0.001) is None


def test_a_waiting_take_returns_the_next_item():
    slot = Latest[int]()
    got: list[object] = []
    taker = threading.Thread(target=lambda: got.append(slot.take(10)))
    taker.start()
    slot.put(7)
    taker.join(10)
    assert got == [(7, 0)]


def test_close_wakes_a_waiting_take():
    slot = Latest[int]()
    got: list[object] = []
    taker = threading.Thread(target=lambda: got.append(slot.take()))
    taker.start()
    slot.close()
    taker.join(10)
    assert got == [None]
    assert slot.closed


def test_an_item_put_before_close_can_be_taken_after_it():
    slot = Latest[int]()
    slot.put(1)
    slot.close()
    slot.put(2)
    slot.put_blocking(3)
    assert slot.take() == (1, 0)
    assert slot.take() is None


def test_hand_over_loses_nothing():
    slot = Latest[int]()

    def make() -> None:
        for number in range(200):
            slot.put_blocking(number)
        slot.close()

    maker = threading.Thread(target=make)
    maker.start()
    got = []
    while (taken := slot.take(10)) is not None:
        got.append(taken)
    maker.join(10)
    assert got == [(number, 0) for number in range(200)]


def test_close_wakes_a_waiting_put_blocking():
    slot = Latest[int]()
    slot.put(1)
    maker = threading.Thread(target=lambda: slot.put_blocking(2))
    maker.start()
    slot.close()
    maker.join(10)
    assert not maker.is_alive()
    assert slot.take() == (1, 0)


def test_every_item_is_taken_or_counted_as_dropped():
    slot = Latest[int]()
    makers = [threading.Thread(target=lambda: [slot.put(i) for i in range(2_000)]) for _ in range(2)]
    seen, dropped = 0, 0
    for maker in makers:
        maker.start()
    while any(maker.is_alive() for maker in makers):
        if (taken := slot.take(0.001)) is not None:
            seen, dropped = seen + 1, dropped + taken[1]
    if (taken := slot.take(0)) is not None:
        seen, dropped = seen + 1, dropped + taken[1]
    assert seen + dropped == 4_000
    assert dropped == slot.dropped_total

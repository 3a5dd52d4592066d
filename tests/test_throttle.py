from dnslb_backend.throttle import LogRateLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_key_passes_once_an_interval_with_the_number_of_those_kept_back() -> None:
    clock = Clock()
    throttle = LogRateLimiter(clock, interval=10)
    assert [throttle.admit("a"), throttle.admit("a"), throttle.admit("a")] == [0, None, None]
    assert throttle.admit("b") == 0
    clock.now = 9.9
    assert throttle.admit("a") is None
    clock.now = 10.0
    assert [throttle.admit("a"), throttle.admit("a"), throttle.admit("b")] == [3, None, 0]


def test_keys_that_clients_choose_do_not_pile_up() -> None:
    throttle = LogRateLimiter(Clock(), limit=10)
    for number in range(1000):
        throttle.admit(number)
        assert throttle.admit(number) is None
    assert len(throttle._last) <= 10

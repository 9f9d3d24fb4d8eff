"""The writes to flash of an ordinary day."""

from on_mpy import stories


def test_an_ordinary_day_stays_under_100_erases_and_1000_programs():
    (day,) = stories("import ordinary_day; ordinary_day.main()")
    print(day)
    assert day["changes"] == 20 and day["right"]
    assert day["erases"] < 100 and day["programs"] < 1000

from benchmarks.results import figure, to_document


def test_a_median_stands_at_its_nested_key_with_three_digits() -> None:
    document = to_document({"load.ticketsPerSecond": [70.0, 71.2345, 90.0], "tokens.input": [480]})

    assert document["load"] == {"ticketsPerSecond": 71.2}
    assert document["tokens"] == {"input": 480}


def test_the_spread_and_the_machine_stand_beside_the_medians() -> None:
    document = to_document({"single.announcedMs": [101.0, 99.0, 110.04]})

    assert document["spread"] == {"single.announcedMs": [99, 110]}
    assert set(document["machine"]) == {"cores", "python"}
    assert len(document["date"]) == len("2026-01-31")


def test_figures_that_were_not_measured_again_are_kept() -> None:
    earlier = to_document({"single.postMs": [4.0], "single.announcedMs": [100.0], "get.ticketMs": [9.0]})

    document = to_document({"single.postMs": [3.0]}, earlier)

    assert document["single"] == {"postMs": 3, "announcedMs": 100}
    assert document["spread"]["get.ticketMs"] == [9, 9]
    assert earlier["single"]["postMs"] == 4


def test_a_figure_is_found_by_its_dotted_key() -> None:
    document = to_document({"list.ms100": [31.0]})

    assert figure(document, "list.ms100") == 31
    assert figure(document, "list.ms5000") is None
    assert figure(document, "list") is None
    assert figure(document, "list.ms100.deeper") is None

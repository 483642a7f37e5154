from pathlib import Path

import pytest

from sottovoce.errors import ServiceError
from sottovoce.service.settings import Oidc, ServiceSettings

SECRET = "correct-horse"


def mistake(**environment: str) -> str:
    named = {f"SOTTOVOCE_{name}": value for name, value in environment.items()}
    with pytest.raises(ServiceError) as caught:
        ServiceSettings.from_environment(named)
    return str(caught.value)


def test_without_any_setting_the_service_listens_on_this_machine_alone():
    found = ServiceSettings.from_environment({})
    assert (found.host, found.production, found.database_url) == ("127.0.0.1", False, None)


def test_every_variable_is_read():
    found = ServiceSettings.from_environment(
        {
            "SOTTOVOCE_DATABASE_URL": "postgres://u@h/d",
            "SOTTOVOCE_DATA_DIR": "there",
            "SOTTOVOCE_HOST": "0.0.0.0",
            "SOTTOVOCE_PORT": "0",
            "SOTTOVOCE_PRODUCTION": "Yes",
            "SOTTOVOCE_MASTER_KEY_FILE": "key",
            "SOTTOVOCE_MODEL": "run",
            "SOTTOVOCE_SCORE_DELAY": "0.5",
            "SOTTOVOCE_PURGE_AFTER_DAYS": "30",
            "SOTTOVOCE_BODY_LIMIT": "10",
            "SOTTOVOCE_REQUESTS_PER_MINUTE": "20",
            "SOTTOVOCE_ALLOWED_HOSTS": "a.example, b.example",
            "SOTTOVOCE_PATIENT_SYSTEM": "urn:x",
            "SOTTOVOCE_OIDC_ISSUER": "https://i.example",
            "SOTTOVOCE_OIDC_AUDIENCE": "a",
            "SOTTOVOCE_OIDC_JWKS": "keys.json",
            "SOTTOVOCE_OIDC_ROLE_CLAIM": "role",
        }
    )
    assert found == ServiceSettings(
        "postgres://u@h/d",
        Path("there"),
        "0.0.0.0",
        0,
        production=True,
        master_key_file=Path("key"),
        model=Path("run"),
        score_delay=0.5,
        purge_after_days=30.0,
        body_limit=10,
        requests_per_minute=20,
        allowed_hosts=("a.example", "b.example"),
        patient_system="urn:x",
        oidc=Oidc("https://i.example", "a", "keys.json", "role"),
    )


def test_an_empty_variable_is_none_and_what_is_given_goes_before():
    environment = {"SOTTOVOCE_PORT": "1", "SOTTOVOCE_MODEL": ""}
    found = ServiceSettings.from_environment(environment, port=2, host=None)
    assert (found.port, found.model, found.host) == (2, None, "127.0.0.1")


def test_every_mistake_is_told_at_once_and_no_value_is_repeated():
    found = mistake(
        PORT=SECRET,
        SCORE_DELAY="nan",
        PURGE_AFTER_DAYS=SECRET,
        PRODUCTION=SECRET,
        BODY_LIMIT="0",
        REQUESTS_PER_MINUTE="-1",
        HOST="192.0.2.77",
        DATABASE_URL=f"mysql://u:{SECRET}@h/d",
        MASTER_KEY=SECRET,
        KMS=SECRET,
        OIDC_ISSUER=SECRET,
    )
    names = "PORT SCORE_DELAY PURGE_AFTER_DAYS PRODUCTION BODY_LIMIT REQUESTS_PER_MINUTE"
    told = [*names.split(), "ALLOWED_HOSTS", "DATABASE_URL", "more than one", "OIDC_AUDIENCE"]
    assert [each for each in told if each not in found] == []
    assert SECRET not in found
    assert "192.0.2.77" not in found
    assert "\n" not in found


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:correct-horse@h:correct-horse/d",
        "correct-horse",
        "sqlite:///correct-horse",
        "postgresql+asyncpg://u:correct-horse@h/d",
    ],
)
def test_an_address_of_another_database_or_of_none_is_refused_without_its_password(url):
    found = mistake(DATABASE_URL=url)
    assert "SOTTOVOCE_DATABASE_URL" in found
    assert SECRET not in found


def test_production_refuses_a_generated_master_key():
    assert "production mode needs a master key" in mistake(PRODUCTION="1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "sottovoce.example"])
def test_a_host_that_others_reach_needs_the_names_by_which_they_call_it(host):
    assert "SOTTOVOCE_ALLOWED_HOSTS" in mistake(HOST=host)
    assert "SOTTOVOCE_ALLOWED_HOSTS" in mistake(HOST=host, ALLOWED_HOSTS=" , ")


@pytest.mark.parametrize("value", ["inf", "-1", "-inf", "nan", "1e999"])
def test_a_delay_is_a_finite_number_of_0_or_more(value):
    assert "SOTTOVOCE_SCORE_DELAY" in mistake(SCORE_DELAY=value)


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_is_one_that_exists(port):
    assert "port" in mistake(PORT=port)


def test_secrets_are_not_shown():
    shown = repr(ServiceSettings(f"postgresql://u:{SECRET}@h/d", master_key=SECRET))
    assert SECRET not in shown

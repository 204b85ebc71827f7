"""What holds for all tests: the verdict of none depends on how fast the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("at any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("at any speed")

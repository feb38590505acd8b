//! The real mosquitto, where it is installed.

//! The forwarder against brokers that behave, and against brokers that do not.

mod broker;
mod course;
mod hostile;
mod mosquitto;
mod rig;

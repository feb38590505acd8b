mod bad_configs;

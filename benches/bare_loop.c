/* The yardstick: what a careful C program needs that polls meters with libmodbus and publishes one message a meter with
 * libmosquitto, and does nothing else: no buffer, no quality, no reconnect.
 *
 * usage: bare_loop BROKER-PORT SECONDS METER-PORT...
 * Each meter listens on 127.0.0.1, unit 1; 20 floats from input register 0, once a second.
 * Build: cc -O2 -o bare_loop bare_loop.c -lmodbus -lmosquitto
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VALUES = 20, REGISTERS = 2 * VALUES, MAX_METERS = 1000 };

static long acked;

static void on_publish(struct mosquitto *client, void *context, int mid) {
    (void)client, (void)context, (void)mid;
    acked++;
}

static int die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

static int publish(struct mosquitto *client, int meter, const uint16_t *registers) {
    char topic[64], payload[1024];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int length = snprintf(payload, sizeof payload, "{\"ts\":%lld%03ld,\"values\":{", (long long)now.tv_sec, now.tv_nsec / 1000000);
    for (int i = 0; i < VALUES; i++)
        length += snprintf(payload + length, sizeof payload - length, "%s\"value_%02d\":%.7g", i ? "," : "", i,
                           (double)modbus_get_float_abcd(registers + 2 * i));
    length += snprintf(payload + length, sizeof payload - length, "}}");
    snprintf(topic, sizeof topic, "bare/meter-%03d", meter);
    return mosquitto_publish(client, NULL, topic, length, payload, 1, false);
}

int main(int argc, char **argv) {
    int meters = argc - 3;
    if (meters < 1 || meters > MAX_METERS)
        return fprintf(stderr, "usage: bare_loop BROKER-PORT SECONDS METER-PORT...\n"), 2;
    int seconds = atoi(argv[2]);

    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new("bare-loop", true, NULL);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_max_inflight_messages_set(client, 20);
    if (mosquitto_connect(client, "127.0.0.1", atoi(argv[1]), 30) != MOSQ_ERR_SUCCESS)
        return die("broker");

    static modbus_t *lines[MAX_METERS];
    for (int i = 0; i < meters; i++) {
        lines[i] = modbus_new_tcp("127.0.0.1", atoi(argv[3 + i]));
        modbus_set_slave(lines[i], 1);
        if (modbus_connect(lines[i]) < 0)
            return die("meter");
    }

    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (int round = 0; round < seconds; round++) {
        for (int i = 0; i < meters; i++) {
            uint16_t registers[REGISTERS];
            if (modbus_read_input_registers(lines[i], 0, REGISTERS, registers) != REGISTERS)
                return die("read");
            if (publish(client, i, registers) != MOSQ_ERR_SUCCESS)
                return die("publish");
            mosquitto_loop(client, 0, 1);
        }
        next.tv_sec++;
        for (;;) { /* acks are taken until the next round is due */
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            long rest = (next.tv_sec - now.tv_sec) * 1000 + (next.tv_nsec - now.tv_nsec) / 1000000;
            if (rest <= 0)
                break;
            mosquitto_loop(client, (int)rest, 1);
        }
    }
    printf("%ld of %ld messages acknowledged\n", acked, (long)meters * seconds);
    return 0;
}

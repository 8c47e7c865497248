/* test_tunnel.c: a WireGuard device as netlink messages, as hostile UAPI text, and for real. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../libcommon/netlink.c"
#include "../../libcommon/tunnel.c"
#include "rootless.h"

/* What a visitor was told, a line each: "A KEY PREFIX" for prefixes, then "P KEY HANDSHAKE ENDPOINT
 * KEEPALIVE". */
struct record {
	char *text;
	size_t n, size;
};

static void add_line(struct record *rec, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_line(struct record *rec, const char *fmt, ...) {
	char line[256];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	assert_true(n > 0 && (size_t)n < sizeof line);
	if (rec->n + (size_t)n + 1 > rec->size) {
		rec->size = 2 * rec->size + sizeof line;
		rec->text = realloc(rec->text, rec->size);
		assert_non_null(rec->text);
	}
	memcpy(rec->text + rec->n, line, (size_t)n + 1);
	rec->n += (size_t)n;
}

static void note(void *rec, const struct tunnel_peer *peer, const struct prefix *prefix) {
	char key[WG_KEY_TEXT], text[PREFIX_TEXT];

	wg_key_encode(peer->key, key);
	if (prefix)
		add_line(rec, "A %s %s\n", key, prefix_format(prefix, text));
	else
		add_line(rec, "P %s %" PRIu64 " %s:%u %u\n", key, peer->handshake,
			addr_format(&peer->endpoint, text), peer->endpoint_port, peer->keepalive);
}

static void record_end(struct record *rec) {
	free(rec->text);
	*rec = (struct record){0};
}

static struct addr addr_of(const char *text) {
	struct addr a;

	assert_true(addr_parse(span_str(text), &a));
	return a;
}

static void key_of(unsigned i, uint8_t key[static WG_KEY_BYTES]) {
	memset(key, 0, WG_KEY_BYTES);
	key[0] = (uint8_t)(i >> 8);
	key[1] = (uint8_t)i;
	key[31] = 1;
}

/* --- netlink messages --- */

static struct nlmsghdr *begin_message(void *buf) {
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof *header);

	message->nlmsg_type = 0x20;
	message->nlmsg_flags = NLM_F_MULTI;
	header->cmd = WG_CMD_GET_DEVICE;
	mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, "wg0");
	return message;
}

static void put_prefix(struct nlmsghdr *message, const char *address, uint8_t bits) {
	struct nlattr *nest = mnl_attr_nest_start(message, 0);
	uint16_t family = strchr(address, ':') ? AF_INET6 : AF_INET;
	uint8_t bytes[16];

	assert_int_equal(inet_pton(family, address, bytes), 1);
	mnl_attr_put_u16(message, WGALLOWEDIP_A_FAMILY, family);
	mnl_attr_put(message, WGALLOWEDIP_A_IPADDR, family == AF_INET ? 4 : 16, bytes);
	mnl_attr_put_u8(message, WGALLOWEDIP_A_CIDR_MASK, bits);
	mnl_attr_nest_end(message, nest);
}

static struct nlattr *begin_nested_peer(struct nlmsghdr *message, unsigned i) {
	struct nlattr *nest = mnl_attr_nest_start(message, 0);
	uint8_t key[WG_KEY_BYTES];

	key_of(i, key);
	mnl_attr_put(message, WGPEER_A_PUBLIC_KEY, sizeof key, key);
	return nest;
}

static void put_facts(struct nlmsghdr *message) {
	struct sockaddr_in6 end = {.sin6_family = AF_INET6, .sin6_port = htons(51820)};
	int64_t handshake[2] = {1700000000, 5};

	inet_pton(AF_INET6, "2001:db8::7", &end.sin6_addr);
	mnl_attr_put(message, WGPEER_A_ENDPOINT, sizeof end, &end);
	mnl_attr_put(message, WGPEER_A_LAST_HANDSHAKE_TIME, sizeof handshake, handshake);
	mnl_attr_put_u16(message, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, 25);
}

/* Two messages: peer 1, and peer 2 that goes on in the second message, then peer 3. */
static size_t build_dump(char *buf) {
	struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct nlmsghdr *message = begin_message(buf);
	struct nlattr *peers, *peer, *prefixes;
	uint8_t key[WG_KEY_BYTES];
	size_t first;

	key_of(99, key);
	mnl_attr_put(message, WGDEVICE_A_PRIVATE_KEY, sizeof key, key);
	mnl_attr_put(message, WGDEVICE_A_PUBLIC_KEY, sizeof key, key);
	mnl_attr_put_u16(message, WGDEVICE_A_LISTEN_PORT, 51821);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = begin_nested_peer(message, 1);
	put_facts(message);
	prefixes = mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
	put_prefix(message, "10.0.0.0", 8);
	mnl_attr_nest_end(message, prefixes);
	mnl_attr_nest_end(message, peer);
	peer = begin_nested_peer(message, 2);
	inet_pton(AF_INET, "198.51.100.7", &end.sin_addr);
	mnl_attr_put(message, WGPEER_A_ENDPOINT, sizeof end, &end);
	prefixes = mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
	put_prefix(message, "10.1.0.0", 16);
	mnl_attr_nest_end(message, prefixes);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	first = message->nlmsg_len;

	message = begin_message(buf + first);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = begin_nested_peer(message, 2);
	prefixes = mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
	put_prefix(message, "fd00::", 8);
	put_prefix(message, "10.1.2.3", 32);
	mnl_attr_nest_end(message, prefixes);
	mnl_attr_nest_end(message, peer);
	peer = begin_nested_peer(message, 3);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	return first + message->nlmsg_len;
}

#define KEY1 "AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
#define KEY2 "AAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
#define KEY3 "AAMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="

static void a_peer_in_two_messages_is_one_peer(void **state) {
	_Alignas(struct nlmsghdr) char buf[4096] = "";
	struct record rec = {0};
	struct reading r = {.visit = note, .ctx = &rec};
	size_t n = build_dump(buf);

	(void)state;
	assert_int_equal(mnl_cb_run(buf, n, 0, 0, read_device, &r), MNL_CB_OK);
	tell(&r, NULL); /* as tunnel_read does at the end */
	assert_string_equal(rec.text, "A " KEY1 " 10.0.0.0/8\n"
				      "P " KEY1 " 1700000000 2001:db8::7:51820 25\n"
				      "A " KEY2 " 10.1.0.0/16\n"
				      "A " KEY2 " fd00::/8\n"
				      "A " KEY2 " 10.1.2.3/32\n"
				      "P " KEY2 " 0 198.51.100.7:7 0\n"
				      "P " KEY3 " 0 :0 0\n");
	assert_int_equal(r.port, 51821);
	record_end(&rec);
}

static void a_message_without_sense_is_an_error(void **state) {
	_Alignas(struct nlmsghdr) char buf[1024] = "";
	struct reading r = {0};
	struct nlmsghdr *message = begin_message(buf);
	struct nlattr *peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS), *peer, *prefixes;

	(void)state;
	peer = mnl_attr_nest_start(message, 0); /* a peer without a key */
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	assert_int_equal(read_device(message, &r), MNL_CB_ERROR);

	message = begin_message(buf);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = begin_nested_peer(message, 1);
	prefixes = mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
	put_prefix(message, "10.0.0.0", 33);
	mnl_attr_nest_end(message, prefixes);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	assert_int_equal(read_device(message, &r), MNL_CB_ERROR);
}

/* The one family that every kernel has, and one that none has. */
static void the_kernel_knows_its_families(void **state) {
	uint16_t id = 0;

	(void)state;
	assert_int_equal(
		ask(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "nlctrl", read_family, &id),
		0);
	assert_int_equal(id, GENL_ID_CTRL);
	assert_int_equal(
		ask(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "nothere", read_family, &id),
		ENOENT);
}

static int run_with_end(uint16_t type, int code, size_t n) {
	_Alignas(struct nlmsghdr) char buf[256] = "";
	mnl_cb_t ends[] = {[NLMSG_ERROR] = end_message, [NLMSG_DONE] = end_message};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);

	message->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(message, sizeof(struct nlmsgerr)), &code, sizeof code);
	message->nlmsg_len = (uint32_t)(sizeof *message + n);
	errno = 0;
	return mnl_cb_run2(buf, message->nlmsg_len, 0, 0, read_device, NULL, ends, MNL_ARRAY_SIZE(ends));
}

static void a_dump_that_failed_half_way_is_an_error(void **state) {
	(void)state;
	assert_int_equal(run_with_end(NLMSG_DONE, 0, sizeof(int)), MNL_CB_STOP);
	assert_int_equal(run_with_end(NLMSG_DONE, -ENOMEM, sizeof(int)), MNL_CB_ERROR);
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(run_with_end(NLMSG_DONE, 0, 0), MNL_CB_ERROR);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(run_with_end(NLMSG_ERROR, 0, sizeof(struct nlmsgerr)), MNL_CB_STOP);
	assert_int_equal(run_with_end(NLMSG_ERROR, -EPERM, sizeof(struct nlmsgerr)), MNL_CB_ERROR);
	assert_int_equal(errno, EPERM);
}

/* Every cut, and many changes of a few bytes: no access outside (the sanitizers watch), but for the
 * padding of the last attribute, which libmnl counts in. */
static void damaged_messages_do_no_harm(void **state) {
	_Alignas(struct nlmsghdr) char whole[4096] = "";
	struct nlmsghdr *message;
	struct record rec = {0};
	unsigned seed = 1;
	size_t n;

	(void)state;
	build_dump(whole);
	n = ((struct nlmsghdr *)whole)->nlmsg_len;
	for (size_t i = sizeof *message; i < 20000; i++) {
		struct reading r = {.visit = note, .ctx = &rec};
		size_t size = i < n ? i : n;
		char *buf = calloc(1, size + MNL_ALIGNTO);

		assert_non_null(buf);
		message = memcpy(buf, whole, size);
		message->nlmsg_len = (uint32_t)size;
		for (int changes = 0; i >= n && changes < 3; changes++) {
			seed = seed * 1103515245 + 12345;
			buf[sizeof *message + seed / 65536 % (size - sizeof *message)] = (char)(seed >> 8);
		}
		read_device(message, &r);
		free(buf);
		record_end(&rec);
	}
}

/* --- UAPI text --- */

#define HEX1 "0001000000000000000000000000000000000000000000000000000000000001"
#define HEX2 "0002000000000000000000000000000000000000000000000000000000000001"

/* Lets read_lines read the n bytes, then the end. */
static int feed(const char *text, size_t n, struct record *rec) {
	struct reading r = {.visit = note, .ctx = rec};
	int fds[2], rc;
	pid_t child;

	record_end(rec);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
	child = fork();
	if (child == 0) {
		close(fds[0]);
		for (ssize_t sent = 0; n > 0 && sent >= 0; n -= (size_t)sent, text += sent)
			sent = send(fds[1], text, n, MSG_NOSIGNAL);
		_exit(0);
	}
	close(fds[1]);
	rc = read_lines(&r, fds[0]);
	tell(&r, NULL);
	close(fds[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return rc;
}

static void a_userspace_device_is_read(void **state) {
	static const char text[] =
		"private_key=0101010101010101010101010101010101010101010101010101010101010101\n"
		"listen_port=51820\n"
		"fwmark=0\n"
		"public_key=" HEX1 "\n"
		"preshared_key=0000000000000000000000000000000000000000000000000000000000000000\n"
		"protocol_version=1\n"
		"endpoint=[fe80::1%eth0]:51820\n"
		"last_handshake_time_sec=1700000000\n"
		"last_handshake_time_nsec=12\n"
		"persistent_keepalive_interval=25\n"
		"tx_bytes=5\n"
		"a_thing_of_the_future=7\n"
		"allowed_ip=10.0.0.0/8\n"
		"allowed_ip=::/0\n"
		"public_key=" HEX2 "\n"
		"endpoint=192.0.2.7:9\n"
		"allowed_ip=10.1.2.3/32\n"
		"errno=0\n\nnever read";
	struct record rec = {0};

	(void)state;
	assert_int_equal(feed(text, sizeof text - 1, &rec), 0);
	assert_string_equal(rec.text, "A " KEY1 " 10.0.0.0/8\n"
				      "A " KEY1 " ::/0\n"
				      "P " KEY1 " 1700000000 fe80::1:51820 25\n"
				      "A " KEY2 " 10.1.2.3/32\n"
				      "P " KEY2 " 0 192.0.2.7:9 0\n");
	assert_int_equal(feed("errno=0\n", 8, &rec), 0);
	assert_null(rec.text);
	record_end(&rec);
}

/* What looks up an owner must not fail for it. */
static void an_endpoint_of_another_form_is_none(void **state) {
	static const char *const endpoints[] = {
		"", "nonsense", ":", "1.2.3.4", "[::1]", "[::1", "1.2.3:5", "name.example:5"};
	struct record rec = {0};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
		int n = snprintf(
			text, sizeof text, "public_key=" HEX1 "\nendpoint=%s\nerrno=0\n", endpoints[i]);

		assert_int_equal(feed(text, (size_t)n, &rec), 0);
		if (strcmp(rec.text, "P " KEY1 " 0 :0 0\n") != 0)
			fail_msg("\"%s\" is read as %s", endpoints[i], rec.text);
	}
	record_end(&rec);
}

static void what_is_not_the_protocol_is_an_error(void **state) {
	static const char *const peer_lines[] = {"allowed_ip=", "allowed_ip=10.0.0.0",
		"allowed_ip=10.0.0.0/33", "allowed_ip=10.0.0.0/", "allowed_ip=10.0.0.0/-1",
		"allowed_ip=10.0.0.0/ 8", "allowed_ip=10.0.0.0/8x", "allowed_ip=10.0.0/8",
		"allowed_ip=fd00::/129", "allowed_ip=fd00::/18446744073709551624",
		"allowed_ip=fd00::1%eth0/64", "last_handshake_time_sec=-1",
		"last_handshake_time_sec=9223372036854775808", "public_key=", "public_key=00",
		"public_key=" HEX1 "00", "public_key=" HEX1 "x",
		"public_key=000100000000000000000000000000000000000000000000000000000000000G", "errno=1",
		"errno=", "errno=00", "no equals sign", ""};
	char text[512], endless[3000];
	struct record rec = {0};

	(void)state;
	for (size_t i = 0; i < sizeof peer_lines / sizeof *peer_lines; i++) {
		int n = snprintf(text, sizeof text, "public_key=" HEX1 "\n%s\nerrno=0\n\n", peer_lines[i]);

		if (feed(text, (size_t)n, &rec) != EPROTO)
			fail_msg("\"%s\" was read", peer_lines[i]);
	}
	assert_int_equal(feed("", 0, &rec), EPROTO);
	assert_int_equal(feed("listen_port=1\n", 14, &rec), EPROTO);
	assert_int_equal(feed("errno=0", 7, &rec), EPROTO);
	assert_int_equal(feed("allowed_ip=10.0.0.0/8\nerrno=0\n", 30, &rec), EPROTO);
	assert_int_equal(feed("errno=0\0\n", 9, &rec), EPROTO);
	memset(endless, 'x', sizeof endless);
	endless[1] = '=';
	assert_int_equal(feed(endless, sizeof endless, &rec), EPROTO);
	record_end(&rec);
}

static void damaged_text_does_no_harm(void **state) {
	static const char text[] = "listen_port=51820\npublic_key=" HEX1
				   "\nendpoint=192.0.2.1:5\nallowed_ip=10.0.0.0/8\nerrno=0\n";
	struct record rec = {0};
	unsigned seed = 2;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct reading r = {.visit = note, .ctx = &rec};
		char copy[sizeof text];
		size_t n = sizeof text - 1;

		memcpy(copy, text, sizeof text);
		for (int changes = 0; changes < 2; changes++) {
			seed = seed * 1103515245 + 12345;
			copy[seed / 65536 % (sizeof text - 1)] = (char)(seed >> 8);
		}
		parse_lines(&r, copy, &n);
		record_end(&rec);
	}
}

/* As feed, but the text comes in two pieces, and the other end stays open: nothing ends but by what is
 * read. */
static int feed_pieces(const char *text, size_t n, size_t first, struct record *rec) {
	struct reading r = {.visit = note, .ctx = rec};
	int fds[2], rc;

	record_end(rec);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), errno);
	if (first > 0)
		assert_int_equal(send(fds[1], text, first, 0), first);
	assert_int_equal(send(fds[1], text + first, n - first, 0), n - first);
	rc = read_lines(&r, fds[0]);
	tell(&r, NULL);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

static const char device[] = "private_key=" HEX2 "\nlisten_port=51820\npublic_key=" HEX1
			     "\nendpoint=192.0.2.1:5\nlast_handshake_time_sec=17\nallowed_ip=10.0.0.0/8\n"
			     "allowed_ip=fd00::/8\npublic_key=" HEX2 "\nallowed_ip=10.1.2.3/32\nerrno=0\n";
static const char device_read[] = "A " KEY1 " 10.0.0.0/8\nA " KEY1 " fd00::/8\nP " KEY1
				  " 17 192.0.2.1:5 0\nA " KEY2 " 10.1.2.3/32\nP " KEY2 " 0 :0 0\n";

static void an_answer_may_come_in_pieces_cut_anywhere(void **state) {
	struct record rec = {0};

	(void)state;
	for (size_t first = 0; first < sizeof device - 1; first++) {
		assert_int_equal(feed_pieces(device, sizeof device - 1, first, &rec), 0);
		assert_string_equal(rec.text, device_read);
	}
	record_end(&rec);
}

static void a_nul_anywhere_is_an_error(void **state) {
	struct record rec = {0};
	char text[sizeof device];

	(void)state;
	for (size_t i = 0; i < sizeof device - 1; i++) {
		memcpy(text, device, sizeof device);
		text[i] = 0;
		assert_int_equal(feed_pieces(text, sizeof device - 1, 0, &rec), EPROTO);
		assert_int_equal(feed_pieces(text, sizeof device - 1, i, &rec), EPROTO);
	}
	record_end(&rec);
}

#define BUFFER 16384 /* that of read_lines */

/* Wherever the buffer ends, in one line or at its end. */
static void a_line_across_the_buffers_end_is_whole(void **state) {
	static char text[BUFFER + sizeof device];
	struct record rec = {0};

	(void)state;
	for (size_t before = BUFFER - sizeof device; before <= BUFFER; before++) {
		memset(text, 'x', before - 1);
		text[1] = '=';
		text[before - 1] = '\n';
		memcpy(text + before, device, sizeof device);
		assert_int_equal(feed(text, before + sizeof device - 1, &rec), 0);
		assert_string_equal(rec.text, device_read);
	}
	record_end(&rec);
}

static void a_line_longer_than_the_buffer_is_an_error(void **state) {
	static char text[2 * BUFFER];
	struct record rec = {0};

	(void)state;
	memset(text, 'x', sizeof text);
	text[1] = '=';
	text[BUFFER - 1] = '\n';
	memcpy(text + BUFFER, device, sizeof device);
	assert_int_equal(feed(text, BUFFER + sizeof device - 1, &rec), 0);
	text[BUFFER - 1] = 'x';
	text[BUFFER] = '\n';
	assert_int_equal(feed(text, BUFFER + sizeof device - 1, &rec), EPROTO);
	memset(text + BUFFER, 'x', BUFFER);
	assert_int_equal(feed(text, sizeof text, &rec), EPROTO);
	record_end(&rec);
}

enum server { SILENT, DRIPPING, ENDLESS, PEERS, SERVERS };

static void serve(enum server kind, int fd) {
	const char *text = kind == PEERS ? "public_key=" HEX1 "\nallowed_ip=10.0.0.0/8\npublic_key=" HEX2
					   "\n"
					 : "fwmark=0\n";
	const bool drips = kind == DRIPPING;
	static char lines[256 * 256];
	size_t n = 0;

	for (; n + strlen(text) < sizeof lines; n += strlen(text))
		memcpy(lines + n, text, strlen(text));
	for (size_t i = 0; kind != SILENT; i++) {
		if (send(fd, lines + (drips ? i % n : 0), drips ? 1 : n, MSG_NOSIGNAL) < 0)
			_exit(0);
		if (drips)
			usleep(50 * 1000);
	}
	pause();
}

/* Exit status: how many seconds it took to give up, or 99. */
static void meet(enum server kind) {
	struct reading r = {0};
	time_t start = time(NULL);
	int fds[2], rc;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		_exit(99);
	child = fork();
	if (child == 0)
		serve(kind, fds[1]);
	rc = read_lines(&r, fds[0]);
	kill(child, SIGKILL);
	_exit(rc == ETIMEDOUT ? (int)(time(NULL) - start) : 99);
}

static void a_server_that_does_not_end_is_left(void **state) {
	pid_t children[SERVERS];
	int status;

	(void)state;
	for (enum server kind = SILENT; kind < SERVERS; kind++) {
		children[kind] = fork();
		if (children[kind] == 0)
			meet(kind);
	}
	for (enum server kind = SILENT; kind < SERVERS; kind++) {
		assert_int_equal(waitpid(children[kind], &status, 0), children[kind]);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 1, 4);
	}
}

/* --- who owns an address --- */

static void a_mapped_prefix_owns_no_ipv4_address(void **state) {
	static const char text[] = "public_key=" HEX1 "\nallowed_ip=::ffff:10.0.0.0/104\n"
				   "allowed_ip=::ffff:10.1.2.3/128\nallowed_ip=::/0\n"
				   "public_key=" HEX2 "\nallowed_ip=10.0.0.0/8\nerrno=0\n";
	struct addr addr = addr_of("10.1.2.3");
	uint8_t key[WG_KEY_BYTES], expect[WG_KEY_BYTES];
	struct prefix by = {0};
	struct search search = {&addr, key, &by};
	struct reading r = {.visit = look_at, .ctx = &search};
	char copy[sizeof text];
	size_t n = sizeof text - 1;

	(void)state;
	memcpy(copy, text, sizeof text);
	assert_int_equal(parse_lines(&r, copy, &n), DONE);
	key_of(2, expect);
	assert_memory_equal(key, expect, sizeof key);
	assert_int_equal(by.bits, 8);
}

/* --- the real thing, in a network namespace of its own --- */

#define WG "wgtest0"
#define SOCKET SOCKET_DIR "/" WG ".sock"

static bool isolated;	      /* own network, own /run */
static const char *no_tunnel; /* why there is no real device, or NULL */
static pid_t wireguard;	      /* wireguard-go; 0: the device is the kernel's */

static bool run(const char *command) {
	return system(command) == 0; /* NOLINT: fixed strings of this file */
}

static void start_wireguard_go(void) {
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	no_tunnel = fd < 0 ? "no access to /dev/net/tun" : NULL;
	if (fd >= 0)
		close(fd);
	if (!no_tunnel && !run("command -v wireguard-go >/dev/null"))
		no_tunnel = "the kernel has none, and wireguard-go is not installed";
	if (no_tunnel)
		return;
	wireguard = fork();
	if (wireguard == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(127);
		execlp("wireguard-go", "wireguard-go", "-f", WG, (char *)NULL);
		_exit(127);
	}
	no_tunnel = "wireguard-go did not start";
	for (int i = 0; i < 100 && no_tunnel; i++) {
		usleep(50 * 1000);
		if (access(SOCKET, F_OK) == 0)
			no_tunnel = NULL;
	}
}

/* The kernel's, else wireguard-go's. */
static void make_device(void) {
	if (!run("command -v wg >/dev/null && command -v ip >/dev/null"))
		no_tunnel = "wg or ip is not installed";
	else if (!run("ip link add " WG " type wireguard 2>/dev/null"))
		start_wireguard_go();
}

static int isolate(void **state) {
	(void)state;
	if (getuid() != 0 && !rootless_enter())
		return 0;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
		mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tmpfs", "/var/run", "tmpfs", 0, "mode=755") != 0) {
		perror("no network and mount namespace of its own here");
		return 0;
	}
	isolated = true;
	make_device();
	return 0;
}

static int end(void **state) {
	(void)state;
	if (wireguard > 0) {
		kill(wireguard, SIGTERM);
		waitpid(wireguard, NULL, 0);
	}
	return 0;
}

static void need_isolation(void) {
	if (isolated)
		return;
	printf("no user, network and mount namespace here\n");
	skip();
}

static void need_wireguard(void) {
	need_isolation();
	if (!no_tunnel)
		return;
	printf("no real WireGuard device: %s\n", no_tunnel);
	skip();
}

static int compare_lines(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines sorted: wireguard-go tells its peers in any order. */
static void sort_lines(char *text) {
	static char sorted[1 << 18];
	char *lines[4096], *save = NULL;
	size_t n = 0, used = 0;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_true(n < 4096);
		lines[n++] = line;
	}
	qsort(lines, n, sizeof *lines, compare_lines);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(sorted + used, sizeof sorted - used, "%s\n", lines[i]);
	assert_true(used < sizeof sorted);
	memcpy(text, sorted, used + 1);
}

/* An endpoint as a record has it, and what wg shows where there is none. */
static void add_peer(struct record *rec, char *fields[static 8]) {
	char endpoint[64] = ":0";
	size_t n = 0;

	if (fields[2][0] != '(')
		for (const char *p = fields[2]; *p; p++)
			if (!strchr("[]", *p))
				endpoint[n++] = *p;
	endpoint[n ? n : 2] = 0;
	add_line(rec, "P %s %s %s %s\n", fields[0], fields[4], endpoint,
		strcmp(fields[7], "off") == 0 ? "0" : fields[7]);
}

/* `wg show dump` in the words of a record. Returns the device's port. */
static int record_wg(struct record *rec) {
	static char line[1 << 16];
	FILE *f = popen("wg show " WG " dump", "re"); /* NOLINT: a fixed string */
	char *fields[8], *rest;
	int port;

	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	assert_int_equal(sscanf(line, "%*s %*s %d", &port), 1);
	while (fgets(line, sizeof line, f)) {
		rest = line;
		for (size_t i = 0; i < 8; i++)
			fields[i] = strsep(&rest, "\t\n");
		add_peer(rec, fields);
		for (char *p; (p = strsep(&fields[3], ",")) != NULL;)
			if (strcmp(p, "(none)") != 0)
				add_line(rec, "A %s %s\n", fields[0], p);
	}
	assert_int_equal(pclose(f), 0);
	return port;
}

/* The kernel's device has no socket: what is read is read by netlink. */
static void assert_as_wg_shows(void) {
	struct record ours = {0}, wg = {0};
	uint16_t port;

	assert_int_equal(access(SOCKET, F_OK) == 0, wireguard > 0);
	assert_int_equal(tunnel_read(WG, note, &ours, &port), 0);
	assert_int_equal(record_wg(&wg), port);
	sort_lines(ours.text);
	sort_lines(wg.text);
	assert_string_equal(ours.text, wg.text);
	record_end(&ours);
	record_end(&wg);
}

static void assert_owner(const char *address, unsigned i, const char *prefix) {
	struct addr addr = addr_of(address);
	uint8_t key[WG_KEY_BYTES], expect[WG_KEY_BYTES];
	char text[PREFIX_TEXT];
	struct prefix by;
	int rc = tunnel_owner(WG, &addr, key, &by);

	if (i == 0) {
		assert_int_equal(rc, ENOENT);
		return;
	}
	assert_int_equal(rc, 0);
	key_of(i, expect);
	assert_memory_equal(key, expect, sizeof key);
	assert_string_equal(prefix_format(&by, text), prefix);
}

static void nested_prefixes_of_a_real_device_go_to_the_longest(void **state) {
	(void)state;
	need_wireguard();
	assert_true(run("wg set " WG " listen-port 51999"));
	assert_owner("10.1.2.3", 0, NULL);
	assert_true(run("wg set " WG " peer " KEY1
			" endpoint 127.0.0.1:9 allowed-ips 10.0.0.0/8,fd00::/8,10.1.2.3/32"));
	assert_true(run("wg set " WG " peer " KEY2
			" endpoint [::1]:9 persistent-keepalive 25 allowed-ips 10.1.0.0/16,fd00:1::/32"));
	assert_true(run("wg set " WG " peer " KEY3 " allowed-ips fd00:1::7/128"));
	assert_owner("10.1.2.3", 1, "10.1.2.3/32");
	assert_owner("10.1.2.4", 2, "10.1.0.0/16");
	assert_owner("10.2.0.1", 1, "10.0.0.0/8");
	assert_owner("192.0.2.1", 0, NULL);
	assert_owner("fd00:1::7", 3, "fd00:1::7/128");
	assert_owner("fd00:1::8", 2, "fd00:1::/32");
	assert_owner("fd77::1", 1, "fd00::/8");
	assert_owner("::1", 0, NULL);
	assert_true(run("wg set " WG " peer " KEY3 " allowed-ips fd00:1::7/128,0.0.0.0/0,::/0"));
	assert_owner("192.0.2.1", 3, "0.0.0.0/0");
	assert_owner("::1", 3, "::/0");
	assert_owner("10.1.2.3", 1, "10.1.2.3/32");
	assert_as_wg_shows();
	assert_true(run("wg set " WG " peer " KEY3 " allowed-ips 10.1.2.3/32"));
	assert_owner("10.1.2.3", 3, "10.1.2.3/32");
	assert_true(run("wg set " WG " peer " KEY3 " remove"));
	assert_owner("10.1.2.3", 2, "10.1.0.0/16");
}

/* The first has more prefixes than a netlink message holds. */
static void three_hundred_real_peers_are_read(void **state) {
	char key[WG_KEY_TEXT];
	uint8_t raw[WG_KEY_BYTES];
	FILE *f;

	(void)state;
	need_wireguard();
	f = popen("wg setconf " WG " /dev/stdin", "we"); /* NOLINT: a fixed string */
	assert_non_null(f);
	fputs("[Interface]\nPrivateKey = " KEY1 "\n", f);
	for (unsigned i = 1; i <= 300; i++) {
		key_of(i, raw);
		wg_key_encode(raw, key);
		fprintf(f, "[Peer]\nPublicKey = %s\nEndpoint = [::1]:%u\n", key, i);
		fprintf(f, "AllowedIPs = 10.77.%u.%u/32, fd00::%x/128, 10.%u.0.0/16\n", i / 256, i % 256, i,
			i % 77);
		for (unsigned k = 0; i == 1 && k < 1000; k++)
			fprintf(f, "AllowedIPs = 172.16.%u.%u/32\n", k / 256, k % 256);
	}
	assert_int_equal(pclose(f), 0);
	assert_as_wg_shows();
	assert_owner("10.77.1.44", 300, "10.77.1.44/32");
	assert_owner("fd00::1", 1, "fd00::1/128");
	assert_owner("10.76.0.1", 230, "10.76.0.0/16");
	assert_owner("172.16.3.231", 1, "172.16.3.231/32");
}

static void an_interface_that_is_not_here_is_refused(void **state) {
	static const char *const names[] = {
		"", ".", "..", "/", "../lo", "lo/", "nothere0", "a-name-of-sixteen", "lo "};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(tunnel_read(names[i], NULL, NULL, NULL), ENODEV);
}

/* Makes /var/run/wireguard/NAME.sock and answers one caller there. */
static pid_t serve_at(const char *name, const char *answer) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t child;

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof address.sun_path, SOCKET_DIR "/%s.sock", name);
	unlink(address.sun_path);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof address), errno);
	assert_return_code(listen(fd, 1), errno);
	child = fork();
	if (child == 0) {
		char request[64];
		int caller = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		ssize_t n = recv(caller, request, sizeof request, 0);

		if (n == 7 && memcmp(request, "get=1\n\n", 7) == 0)
			send(caller, answer, strlen(answer), MSG_NOSIGNAL);
		_exit(0);
	}
	close(fd);
	return child;
}

static void only_a_socket_of_roots_is_asked(void **state) {
	static const char path[] = SOCKET_DIR "/lo.sock";
	struct record rec = {0};
	uint16_t port;
	pid_t child;

	(void)state;
	need_isolation();
	mkdir(SOCKET_DIR, 0755);
	assert_int_equal(tunnel_read("lo", note, &rec, NULL), ENODEV);
	child = serve_at("nothere0", "errno=0\n\n");
	assert_int_equal(tunnel_read("nothere0", note, &rec, NULL), ENODEV);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);

	child = serve_at("lo", "listen_port=7\npublic_key=" HEX1 "\nerrno=0\n\n");
	assert_return_code(chmod(SOCKET_DIR, 0775), errno);
	assert_int_equal(tunnel_read("lo", note, &rec, NULL), EPERM);
	assert_return_code(chmod(SOCKET_DIR, 0757), errno);
	assert_int_equal(tunnel_read("lo", note, &rec, NULL), EPERM);
	assert_return_code(chmod(SOCKET_DIR, 0755), errno);
	if (chown(path, 1, 1) == 0) { /* not in a namespace that has only uid 0 */
		assert_int_equal(tunnel_read("lo", note, &rec, NULL), EPERM);
		assert_return_code(chown(path, 0, 0), errno);
		assert_return_code(chown(SOCKET_DIR, 1, 0), errno);
		assert_int_equal(tunnel_read("lo", note, &rec, NULL), EPERM);
		assert_return_code(chown(SOCKET_DIR, 0, 0), errno);
	}
	assert_null(rec.text);
	assert_int_equal(tunnel_read("lo", note, &rec, &port), 0);
	assert_string_equal(rec.text, "P " KEY1 " 0 :0 0\n");
	assert_int_equal(port, 7);
	waitpid(child, NULL, 0);

	assert_int_equal(tunnel_read("lo", note, &rec, NULL), ECONNREFUSED);
	assert_return_code(rename(path, SOCKET_DIR "/real.sock"), errno);
	assert_return_code(symlink("real.sock", path), errno);
	assert_int_equal(tunnel_read("lo", note, &rec, NULL), EPERM);
	unlink(path);
	unlink(SOCKET_DIR "/real.sock");
	record_end(&rec);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_in_two_messages_is_one_peer),
		cmocka_unit_test(a_message_without_sense_is_an_error),
		cmocka_unit_test(the_kernel_knows_its_families),
		cmocka_unit_test(a_dump_that_failed_half_way_is_an_error),
		cmocka_unit_test(damaged_messages_do_no_harm),
		cmocka_unit_test(a_userspace_device_is_read),
		cmocka_unit_test(an_endpoint_of_another_form_is_none),
		cmocka_unit_test(what_is_not_the_protocol_is_an_error),
		cmocka_unit_test(damaged_text_does_no_harm),
		cmocka_unit_test(an_answer_may_come_in_pieces_cut_anywhere),
		cmocka_unit_test(a_nul_anywhere_is_an_error),
		cmocka_unit_test(a_line_across_the_buffers_end_is_whole),
		cmocka_unit_test(a_line_longer_than_the_buffer_is_an_error),
		cmocka_unit_test(a_server_that_does_not_end_is_left),
		cmocka_unit_test(a_mapped_prefix_owns_no_ipv4_address),
		cmocka_unit_test(an_interface_that_is_not_here_is_refused),
		cmocka_unit_test(only_a_socket_of_roots_is_asked),
		cmocka_unit_test(nested_prefixes_of_a_real_device_go_to_the_longest),
		cmocka_unit_test(three_hundred_real_peers_are_read),
	};

	return cmocka_run_group_tests_name("tunnel", tests, isolate, end);
}

/* test_gate.c: the gate: every condition broken alone, and where a login comes from. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <keyutils.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <time.h>
#include <cmocka.h>

#include "gate.h"
#include "keyring.h"
#include "keyring_build.h"
#include "map_build.h"
#include "map_sample.h"
#include "paths.h"
#include "sandbox.h"

#define ROOT "/run/host"
#define SOCKETS "/run/wireguard"
#define UAPI_MAX 4096
#define FOREIGN "0000000000000000000000000000000000000000000000000000000000000042"
#define ERRNO_BEFORE 77

/* A host where all is well: db1 of clinic-b calls from 10.77.2.5 and fd77:2::5. The tunnel is a
 * stand-in, so that these tests run for everybody: a veth pair that has the interface's name here
 * and is far1 there, and a socket that tells of peers as a userspace WireGuard does. */
struct world {
	struct sandbox net;
	struct sample sample;
	struct roster_host *db1;
	const char *interface;
	char key[WG_KEY_TEXT];
	int32_t ring;
	char *uapi; /* what the socket tells; shared with the process behind it */
};

static struct world w;

/* --- the world --- */

static _Noreturn void tell_peers(int listener) {
	char request[64];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (read(fd, request, sizeof request) > 0)
			send(fd, w.uapi, strlen(w.uapi), MSG_NOSIGNAL);
		close(fd);
	}
}

static bool start_teller(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t child;

	w.uapi = mmap(NULL, UAPI_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(address.sun_path, sizeof address.sun_path, SOCKETS "/%s.sock", w.interface);
	umask(022);
	if (w.uapi == MAP_FAILED || mkdir(SOCKETS, 0755) != 0 ||
		bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0)
		return false;
	child = fork();
	if (child == 0)
		tell_peers(listener);
	close(listener);
	return child > 0;
}

/* What the interface tells: db1 with these prefixes, and a peer that nobody here knows. */
static void set_peers(const char *prefixes, const char *foreign) {
	char hex[2 * WG_KEY_BYTES + 1];

	for (size_t i = 0; i < WG_KEY_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", w.db1->key[i]);
	snprintf(w.uapi, UAPI_MAX,
		"private_key=" FOREIGN "\nlisten_port=51820\npublic_key=%s\n%spublic_key=" FOREIGN
		"\n%serrno=0\n\n",
		hex, prefixes, foreign);
}

static void set_map(void) {
	struct err err = {0};

	if (!map_build(&w.sample.roster, ROOT PATH_MAP, &err))
		fail_msg("%s", err.text);
}

static void set_ring(void) {
	struct err err = {0};

	if (!keyring_make(ROOT, w.interface, &w.ring, &err) || !keyring_sync(w.ring, &w.sample.roster, &err))
		fail_msg("%s", err.text);
}

static void init_sample(void) {
	sample_init(&w.sample);
	w.db1 = &w.sample.hosts[SAMPLE_DB1_B];
	w.interface = w.sample.policy.interface;
	snprintf(w.sample.policy.interface, IFNAMSIZ, "vg%x", (unsigned)getpid() & 0xffffff);
	wg_key_encode(w.db1->key, w.key);
}

static int set_up(void **state) {
	(void)state;
	init_sample();
	assert_true(sandbox_network(&w.net));
	assert_true(sandbox_run(w.net.here,
		"ip link add %s type veth peer name far1 netns /proc/%d/fd/%d\n"
		"ip -batch - <<END\n"
		"link set %s up\n"
		"addr add 10.77.1.1/16 dev %s\n"
		"addr add fd77:2::1/64 dev %s nodad\n"
		"addr add fd99::1/64 dev near0 nodad\n"
		"END\n"
		"for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done\n"
		"mkdir -p " ROOT PATH_STATE "\n",
		w.interface, getpid(), w.net.far, w.interface, w.interface, w.interface));
	assert_true(sandbox_run(w.net.far, "ip -batch - <<END\n"
					   "link set far1 up\n"
					   "addr add 10.77.2.5/16 dev far1\n"
					   "addr add fd77:2::5/64 dev far1 nodad\n"
					   "addr add fd99::2/64 dev far0 nodad\n"
					   "END\n"));
	set_peers("allowed_ip=10.77.2.5/32\nallowed_ip=fd77:2::5/128\nallowed_ip=10.80.0.0/16\n",
		"allowed_ip=10.77.2.7/32\nallowed_ip=203.0.113.7/32\n");
	set_map();
	set_ring();
	return 0;
}

static int tear_down(void **state) {
	struct err err = {0};

	(void)state;
	assert_true(keyring_remove(ROOT, w.interface, &err));
	assert_true(sandbox_run(w.net.here, "rm -rf " ROOT));
	sandbox_leave(&w.net);
	return 0;
}

/* --- the question and what is expected --- */

static struct gate_decision ask_for(const char *from, const char *account, int fd) {
	struct gate_request request = {
		.root = ROOT,
		.account = account,
		.remote = *from ? sample_addr(from) : (struct addr){0},
		.fd = fd,
	};
	struct gate_decision decision;

	errno = ERRNO_BEFORE;
	gate_decide(&request, &decision);
	assert_int_equal(errno, ERRNO_BEFORE);
	return decision;
}

static struct gate_decision ask(const char *from) {
	return ask_for(from, "alice", -1);
}

/* What sudo asks in an audit session. */
static struct gate_decision ask_session(const char *account, const char *session) {
	struct gate_request request = {.root = ROOT, .account = account, .session = session, .fd = -1};
	struct gate_decision decision;

	errno = ERRNO_BEFORE;
	gate_decide(&request, &decision);
	assert_int_equal(errno, ERRNO_BEFORE);
	return decision;
}

/* The SSH keys that sshd says were shown. */
static struct gate_decision ask_key(const char *account, const char *shown) {
	struct gate_request request = {.root = ROOT,
		.account = account,
		.remote = sample_addr("10.77.2.5"),
		.fd = -1,
		.ssh_auth = shown};
	struct gate_decision decision;

	gate_decide(&request, &decision);
	return decision;
}

/* All conditions before `end` are met, none behind it was asked. */
static void expect_answers(const struct gate_decision *d, enum gate_condition end, bool socket) {
	for (enum gate_condition c = 0; c < GATE_CONDITIONS; c++) {
		enum gate_answer expected = GATE_MET;

		if (c > end || (c == GATE_INGRESS && !socket) || c == GATE_RECORD)
			expected = GATE_NOT_ASKED;
		else if (c == end)
			expected = GATE_FAILED;
		if (d->answers[c] != expected)
			fail_msg("%s: answer %d, not %d: %s", gate_condition_name(c), d->answers[c],
				expected, d->reason);
		assert_int_equal(d->details[c][0] != 0, expected != GATE_NOT_ASKED);
	}
}

static void expect_admitted(struct gate_decision d, bool socket) {
	if (d.verdict != GATE_ADMIT)
		fail_msg("not admitted: %s", d.reason);
	expect_answers(&d, GATE_CONDITIONS, socket);
}

static void __attribute__((format(printf, 3, 4)))
expect_refused(struct gate_decision d, enum gate_condition failed, const char *format, ...) {
	char reason[sizeof d.reason];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	assert_int_equal(d.verdict, GATE_REFUSE);
	assert_string_equal(d.reason, reason);
	expect_answers(&d, failed,
		failed > GATE_INGRESS ? d.answers[GATE_INGRESS] == GATE_MET : failed == GATE_INGRESS);
}

static void expect_outside(const char *from) {
	struct gate_decision d = ask(from);

	if (d.verdict != GATE_OUTSIDE)
		fail_msg("%s is not outside: %s", from, d.reason);
	expect_answers(&d, GATE_MESH, false);
}

/* --- the conditions --- */

static void test_admits(void **state) {
	struct gate_decision d = ask("10.77.2.5");

	(void)state;
	expect_admitted(d, false);
	assert_string_equal(d.reason, "login alice of db1.clinic-b.mesh.internal becomes alice");
	assert_string_equal(d.login, "alice");
	assert_string_equal(d.host, "db1.clinic-b.mesh.internal");
	assert_string_equal(d.aid, SAMPLE_AID_B);
	assert_string_equal(d.said, SAMPLE_SAID);
	assert_string_equal(d.key, w.key);
	assert_int_equal(d.sn, 7);
	expect_admitted(ask("fd77:2::5"), false);
	expect_admitted(ask("::ffff:10.77.2.5"), false);
	d = ask_for("10.77.2.5", "rsmith", -1);
	expect_admitted(d, false);
	assert_string_equal(d.login, "bob");
}

static void test_map(void **state) {
	(void)state;
	assert_return_code(chmod(ROOT PATH_MAP, 0666), errno);
	expect_refused(ask("10.77.2.5"), GATE_MAP, "map %s: not root's alone", ROOT PATH_MAP);
	expect_refused(ask("203.0.113.9"), GATE_MAP, "map %s: not root's alone", ROOT PATH_MAP);
	assert_return_code(chmod(ROOT PATH_MAP, 0644), errno);
	assert_return_code(truncate(ROOT PATH_MAP, 2100), errno);
	expect_refused(ask(""), GATE_MAP, "map %s: damaged, or of another version", ROOT PATH_MAP);
	assert_return_code(unlink(ROOT PATH_MAP), errno);
	expect_refused(ask("10.77.2.5"), GATE_MAP, "map %s: %s", ROOT PATH_MAP, strerror(ENOENT));
}

static void test_root_too_long(void **state) {
	static char root[5000];
	struct gate_request request = {.root = root, .account = "alice", .fd = -1};
	struct gate_decision d;

	(void)state;
	memset(root, '/', sizeof root - 1);
	gate_decide(&request, &d);
	assert_int_equal(d.verdict, GATE_REFUSE);
	assert_int_equal(d.answers[GATE_MAP], GATE_FAILED);
}

/* In no mesh prefix and owned by no peer: and only that. */
static void test_outside(void **state) {
	(void)state;
	expect_outside("203.0.113.9");
	expect_outside("2001:db8::1");
	expect_outside("127.0.0.1");
	expect_outside("");
	expect_refused(ask("10.77.2.9"), GATE_OWNER, "10.77.2.9 is owned by no peer of %s", w.interface);
	expect_refused(ask("fd77:2::9"), GATE_OWNER, "fd77:2::9 is owned by no peer of %s", w.interface);
	/* a foreign peer's, on a shared interface */
	expect_refused(ask("203.0.113.7"), GATE_ROUTE, "no route to 203.0.113.7: %s", strerror(ENETUNREACH));
}

static void test_outside_without_interface(void **state) {
	(void)state;
	assert_true(sandbox_run(w.net.here, "ip link del %s", w.interface));
	expect_outside("203.0.113.7");
	expect_outside("");
	expect_refused(ask("10.77.2.5"), GATE_OWNER, "%s: %s", w.interface, strerror(ENODEV));
}

/* There is an interface, but what it says cannot be read: nobody knows who owns what. */
static void test_not_outside_when_unknown(void **state) {
	(void)state;
	strcpy(w.uapi, "errno=1\n\n");
	expect_refused(ask("203.0.113.9"), GATE_OWNER, "%s: %s", w.interface, strerror(EPROTO));
	expect_refused(ask("10.77.2.5"), GATE_OWNER, "%s: %s", w.interface, strerror(EPROTO));
	expect_outside("");
	snprintf(w.sample.policy.interface, IFNAMSIZ, "near0");
	set_map();
	expect_refused(ask("203.0.113.9"), GATE_OWNER, "near0: %s", strerror(ENODEV));
}

static void test_owner(void **state) {
	(void)state;
	set_peers("allowed_ip=10.77.2.0/24\nallowed_ip=fd77:2::/127\n", "");
	expect_refused(
		ask("10.77.2.5"), GATE_OWNER, "10.77.2.5 is only routed by 10.77.2.0/24 to peer %s", w.key);
	set_peers("allowed_ip=10.77.2.0/24\n", "allowed_ip=10.77.2.5/32\n");
	expect_refused(ask("10.77.2.5"), GATE_KEY,
		"key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEI= in the keyring: %s", strerror(ENOKEY));
	set_peers("", "");
	expect_refused(ask("10.77.2.5"), GATE_OWNER, "10.77.2.5 is owned by no peer of %s", w.interface);
}

static void test_route(void **state) {
	(void)state;
	assert_true(sandbox_run(w.net.here, "ip route add 10.77.2.5/32 via 192.0.2.2"));
	expect_refused(ask("10.77.2.5"), GATE_ROUTE, "the reply to 10.77.2.5 leaves through near0");
	expect_admitted(ask("fd77:2::5"), false);
	assert_true(sandbox_run(w.net.here, "ip route add fd77:2::5/128 via fd99::2"));
	expect_refused(ask("fd77:2::5"), GATE_ROUTE, "the reply to fd77:2::5 leaves through near0");
	assert_true(sandbox_run(w.net.here, "ip route replace unreachable 10.77.2.5/32"));
	expect_refused(ask("10.77.2.5"), GATE_ROUTE, "no route to 10.77.2.5: %s", strerror(EHOSTUNREACH));
}

/* A rule by the local address holds for the connection that has it. */
static void test_route_of_the_connection(void **state) {
	int fd = sandbox_accept(w.net.far, AF_INET, "10.77.2.5", "10.77.1.1");

	(void)state;
	assert_return_code(fd, errno);
	assert_true(sandbox_run(w.net.here, "ip route add default via 192.0.2.2 table 100\n"
					    "ip rule add from 10.77.1.1 lookup 100\n"));
	expect_admitted(ask("10.77.2.5"), false);
	expect_refused(ask_for("10.77.2.5", "alice", fd), GATE_ROUTE,
		"the reply to 10.77.2.5 leaves through near0");
	close(fd);
}

/* An option of the socket, before and after. */
static void expect_option(int fd, int level, int option, int expected) {
	int value = -1;
	socklen_t n = sizeof value;

	assert_return_code(getsockopt(fd, level, option, &value, &n), errno);
	assert_int_equal(value, expected);
}

/* The same connection through the tunnel, then beside it: by IPv4, IPv4-mapped, IPv6. */
static void ingress(int family, const char *from, const char *to, int level, int option) {
	int on = 1, fd = sandbox_accept(w.net.far, family, from, to);

	assert_return_code(fd, errno);
	expect_admitted(ask_for(from, "alice", fd), true);
	expect_option(fd, level, option, 0);
	assert_return_code(setsockopt(fd, level, option, &on, sizeof on), errno);
	expect_admitted(ask_for(from, "alice", fd), true);
	expect_option(fd, level, option, 1);
	close(fd);
	assert_true(sandbox_run(
		w.net.far, "ip route add %s via %s", to, strchr(to, ':') ? "fd99::1" : "192.0.2.1"));
	fd = sandbox_accept(w.net.far, family, from, to);
	assert_return_code(fd, errno);
	expect_refused(
		ask_for(from, "alice", fd), GATE_INGRESS, "the connection of %s arrived on near0", from);
	expect_option(fd, level, option, 0);
	close(fd);
}

static void test_ingress_ipv4(void **state) {
	(void)state;
	ingress(AF_INET, "10.77.2.5", "10.77.1.1", IPPROTO_IP, IP_PKTINFO);
}

static void test_ingress_ipv4_mapped(void **state) {
	(void)state;
	ingress(AF_INET6, "10.77.2.5", "10.77.1.1", IPPROTO_IP, IP_PKTINFO);
}

static void test_ingress_ipv6(void **state) {
	(void)state;
	ingress(AF_INET6, "fd77:2::5", "fd77:2::1", IPPROTO_IPV6, IPV6_2292PKTINFO);
}

/* A socket of which the kernel does not say where it came in. */
static void test_ingress_unknown(void **state) {
	struct sockaddr_storage name;
	socklen_t n = sandbox_sockaddr(AF_INET, "10.77.1.1", 0, &name);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_return_code(bind(listener, (struct sockaddr *)&name, n), errno);
	assert_return_code(listen(listener, 1), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&name, &n), errno);
	assert_return_code(connect(fd, (struct sockaddr *)&name, n), errno);
	expect_refused(ask_for("10.77.2.5", "alice", fd), GATE_INGRESS,
		"the connection of 10.77.2.5 arrived on no interface");
	close(fd);
	expect_refused(
		ask_for("10.77.2.5", "alice", fd), GATE_ROUTE, "no route to 10.77.2.5: %s", strerror(EBADF));
	close(listener);
}

static void test_key(void **state) {
	key_serial_t id = (key_serial_t)keyctl_search(w.ring, "user", w.key, 0);
	struct err err = {0};

	(void)state;
	assert_true(id > 0);
	assert_return_code(keyctl_setperm(id, KEY_POS_ALL | KEY_USR_ALL | KEY_OTH_VIEW), errno);
	expect_refused(ask("10.77.2.5"), GATE_KEY, "key %s in the keyring: %s", w.key, strerror(EPERM));
	assert_return_code(keyctl_setperm(id, KEY_POS_ALL | KEY_USR_ALL), errno);
	assert_return_code(keyctl_set_timeout(id, 1), errno);
	expect_admitted(ask("10.77.2.5"), false);
	usleep(1100000);
	expect_refused(
		ask("10.77.2.5"), GATE_KEY, "key %s in the keyring: %s", w.key, strerror(EKEYEXPIRED));
	set_ring();
	expect_admitted(ask("10.77.2.5"), false);
	id = (key_serial_t)keyctl_search(w.ring, "user", w.key, 0);
	assert_return_code(keyctl_revoke(id), errno);
	expect_refused(
		ask("10.77.2.5"), GATE_KEY, "key %s in the keyring: %s", w.key, strerror(EKEYREVOKED));
	w.db1->self = true; /* not a peer of this host, then */
	set_ring();
	expect_refused(ask("10.77.2.5"), GATE_KEY, "key %s in the keyring: %s", w.key, strerror(ENOKEY));
	assert_true(keyring_remove(ROOT, w.interface, &err));
	expect_refused(ask("10.77.2.5"), GATE_KEY, "keyring verimesh:%s: %s", w.interface, strerror(ENOENT));
}

static void test_card(void **state) {
	(void)state;
	w.db1->expires = time(NULL) - 1;
	set_map();
	expect_refused(ask("10.77.2.5"), GATE_CARD, "the map has no live card for key %s", w.key);
	w.db1->expires = NEVER;
	w.db1->naddrs = 1; /* the derived one */
	set_map();
	expect_refused(ask("10.77.2.5"), GATE_CARD, "10.77.2.5 is no address of db1.clinic-b.mesh.internal");
	expect_refused(ask("fd77:2::5"), GATE_CARD, "fd77:2::5 is no address of db1.clinic-b.mesh.internal");
	w.db1->key[0] ^= 1;
	set_map();
	expect_refused(ask("10.77.2.5"), GATE_CARD, "the map has no live card for key %s", w.key);
}

/* The derived address is the host's own as much as those that the card names. */
static void test_derived_address(void **state) {
	char text[ADDR_TEXT], peers[128];

	(void)state;
	addr_format(&w.db1->addrs[0], text);
	snprintf(peers, sizeof peers, "allowed_ip=%s/128\n", text);
	set_peers(peers, "");
	assert_true(sandbox_run(w.net.here, "ip route add %s/128 dev %s", text, w.interface));
	expect_admitted(ask(text), false);
}

static void test_login(void **state) {
	static const char *const others[] = {"", "bob", "root", "alic", "alicee", "Alice", "ALICE"};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		expect_refused(ask_for("10.77.2.5", others[i], -1), GATE_LOGIN,
			"no login of db1.clinic-b.mesh.internal becomes %s", others[i]);
	expect_refused(ask_for("10.77.2.5", "a\nb\x7f\xc3", -1), GATE_LOGIN,
		"no login of db1.clinic-b.mesh.internal becomes a?b??");
	expect_refused(ask_for("10.77.2.5", "alice ", -1), GATE_LOGIN,
		"no login of db1.clinic-b.mesh.internal becomes alice?");
	w.db1->nlogins = 0;
	set_map();
	expect_refused(ask("10.77.2.5"), GATE_LOGIN, "no login of db1.clinic-b.mesh.internal becomes alice");
}

static void test_ssh_key(void **state) {
	static const char *const alices[] = {"publickey " SAMPLE_SSH_1, "publickey " SAMPLE_SSH_2 "\n",
		"publickey " SAMPLE_SSH_2 "\npublickey " SAMPLE_SSH_1 "\n",
		"keyboard-interactive/pam\npublickey " SAMPLE_SSH_1, "\npublickey " SAMPLE_SSH_1 "\n\n"};
	static const char *const others[] = {"", "\n", "password\n", "publickey", "publickey ",
		"publickey \n", "publickey " SAMPLE_SSH_BOB,
		"publickey " SAMPLE_SSH_1 "\npublickey " SAMPLE_SSH_BOB "\n",
		"publickey " SAMPLE_SSH_BOB "\npublickey " SAMPLE_SSH_1 "\n", " publickey " SAMPLE_SSH_1,
		"publickey  " SAMPLE_SSH_1, "publickey " SAMPLE_SSH_1 "=", "publickey " SAMPLE_SSH_1 " ",
		"publickey " SAMPLE_SSH_1 SAMPLE_SSH_2, "Publickey " SAMPLE_SSH_1,
		"publickeys " SAMPLE_SSH_1, "hostbased " SAMPLE_SSH_1, "password publickey " SAMPLE_SSH_1,
		SAMPLE_SSH_1};

	(void)state;
	for (size_t i = 0; i < sizeof alices / sizeof *alices; i++)
		expect_admitted(ask_key("alice", alices[i]), false);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		expect_refused(ask_key("alice", others[i]), GATE_LOGIN,
			"no login of db1.clinic-b.mesh.internal becomes alice by the SSH key that was "
			"shown");
	expect_admitted(ask_key("rsmith", "publickey " SAMPLE_SSH_BOB), false);
	w.db1->loginkeys = span_of(NULL, 0);
	set_map();
	expect_refused(ask_key("alice", alices[0]), GATE_LOGIN,
		"no login of db1.clinic-b.mesh.internal becomes alice by the SSH key that was shown");
}

/* Two logins become one account: whose key was shown is who it is. */
static void test_ssh_key_tells_the_login(void **state) {
	struct gate_decision d;

	(void)state;
	strcpy(w.sample.logins[1].account, "alice");
	set_map();
	d = ask_key("alice", "publickey " SAMPLE_SSH_BOB);
	expect_admitted(d, false);
	assert_string_equal(d.login, "bob");
	assert_string_equal(ask_key("alice", "publickey " SAMPLE_SSH_2).login, "alice");
}

/* Leaves a record of alice's login for a session, whose serial is given. */
static key_serial_t leave_record(const char *account, const char *session) {
	struct gate_request request = {.root = ROOT, .account = account, .fd = -1};
	struct gate_decision d = ask_for("10.77.2.5", account, -1);
	key_serial_t record = 0;

	assert_int_equal(d.verdict, GATE_ADMIT);
	assert_int_equal(gate_record(&request, &d, session, &record), 0);
	assert_true(record > 0);
	return record;
}

static void expect_by_record(const char *account, const char *session, const char *login) {
	struct gate_decision d = ask_session(account, session);

	if (d.verdict != GATE_ADMIT)
		fail_msg("not admitted: %s", d.reason);
	for (enum gate_condition c = 0; c < GATE_CONDITIONS; c++)
		assert_int_equal(
			d.answers[c], c >= GATE_MESH && c <= GATE_INGRESS ? GATE_NOT_ASKED : GATE_MET);
	assert_string_equal(d.login, login);
	assert_string_equal(d.host, "db1.clinic-b.mesh.internal");
	assert_string_equal(d.aid, SAMPLE_AID_B);
	assert_string_equal(d.said, SAMPLE_SAID);
	assert_string_equal(d.key, w.key);
	assert_int_equal(d.sn, 7);
}

static void __attribute__((format(printf, 2, 3)))
expect_no_record(struct gate_decision d, const char *format, ...) {
	char reason[sizeof d.reason];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	assert_int_equal(d.verdict, GATE_REFUSE);
	assert_string_equal(d.reason, reason);
}

static void test_record(void **state) {
	key_serial_t alices = leave_record("alice", "5");
	char text[KEYRING_PAYLOAD];

	(void)state;
	assert_int_equal(keyring_read(w.ring, "session:5", text), 0);
	expect_by_record("alice", "5", "alice");
	expect_no_record(ask_session("alice", "6"), "session:6 in the keyring: %s", strerror(ENOKEY));
	expect_no_record(ask_session("alice", ""), "session: in the keyring: %s", strerror(ENOKEY));
	expect_no_record(ask_session("bob", "5"), "session:5 is of account alice");
	expect_no_record(ask_session("", "5"), "session:5 is of account alice");
	leave_record("rsmith", "6");
	expect_by_record("rsmith", "6", "bob");
	expect_by_record("alice", "5", "alice");
	/* in its place, and not beside it */
	leave_record("rsmith", "5");
	expect_by_record("rsmith", "5", "bob");
	expect_no_record(ask_session("alice", "5"), "session:5 is of account rsmith");
	alices = leave_record("alice", "5");
	assert_return_code(keyctl_revoke(alices), errno);
	expect_no_record(ask_session("alice", "5"), "session:5 in the keyring: %s", strerror(EKEYREVOKED));
	expect_by_record("rsmith", "6", "bob");
	/* sync leaves what it did not make */
	set_ring();
	expect_by_record("rsmith", "6", "bob");
}

/* What was true at the login is asked again. */
static void test_record_lives_by_its_host(void **state) {
	(void)state;
	leave_record("alice", "5");
	set_peers("", "");
	assert_true(sandbox_run(w.net.here, "ip link del %s", w.interface));
	expect_by_record("alice", "5", "alice");
	w.db1->nlogins = 0;
	set_map();
	expect_no_record(ask_session("alice", "5"), "no login of db1.clinic-b.mesh.internal becomes alice");
	w.db1->nlogins = 2;
	/* another login of the host has that account now: not the one who came */
	strcpy(w.sample.logins[0].account, "other");
	strcpy(w.sample.logins[1].account, "alice");
	set_map();
	expect_no_record(ask_session("alice", "5"), "no login of db1.clinic-b.mesh.internal becomes alice");
	strcpy(w.sample.logins[0].account, "alice");
	w.db1->expires = time(NULL) - 1;
	set_map();
	expect_no_record(ask_session("alice", "5"), "the map has no live card for key %s", w.key);
	w.db1->expires = NEVER;
	set_map();
	expect_by_record("alice", "5", "alice");
	/* the host has a new key: whoever came by the old one has to come again */
	w.db1->key[0] ^= 1;
	set_map();
	set_ring();
	expect_no_record(ask_session("alice", "5"), "key %s in the keyring: %s", w.key, strerror(ENOKEY));
}

/* The key of the record must be the host's of the record, not anybody's. */
static void test_record_ties_host_and_key(void **state) {
	char key[WG_KEY_TEXT], text[KEYRING_PAYLOAD];

	(void)state;
	wg_key_encode(w.sample.hosts[SAMPLE_WEB_B].key, key);
	snprintf(text, sizeof text, "alice alice db1.clinic-b.mesh.internal %s", key);
	assert_true(keyring_link(w.ring, "user", "session:5", span_str(text), KEYRING_OURS, 0) > 0);
	expect_no_record(ask_session("alice", "5"),
		"the keyring says: " SAMPLE_AID_B " 7 " SAMPLE_SAID " web.clinic-b.mesh.internal");
}

/* A record as long as policy and cards let names be fits; one that would be cut is not left. */
static void test_record_length(void **state) {
	struct gate_request request = {.root = ROOT, .fd = -1};
	char account[LOGIN_MAX + LABEL_MAX + 2], expected[512], text[KEYRING_PAYLOAD];
	struct gate_decision d = ask("10.77.2.5");
	key_serial_t record = 0;

	(void)state;
	memset(account, 'a', sizeof account - 1);
	account[sizeof account - 1] = 0;
	request.account = account;
	memset(d.login, 'l', LOGIN_MAX);
	memset(d.host, 'h', LABEL_MAX + 1 + LABEL_MAX + 1 + DOMAIN_MAX);
	assert_int_equal(gate_record(&request, &d, "4294967294", &record), 0);
	snprintf(expected, sizeof expected, "%s %s %s %s", account, d.login, d.host, d.key);
	assert_int_equal(keyring_read(w.ring, "session:4294967294", text), 0);
	assert_string_equal(text, expected);
	memset(d.host, 'h', sizeof d.host - 1);
	assert_int_equal(gate_record(&request, &d, "5", &record), EMSGSIZE);
	snprintf(d.interface, sizeof d.interface, "none0");
	assert_int_equal(gate_record(&request, &d, "5", &record), ENOENT);
	expect_no_record(ask_session("alice", "5"), "session:5 in the keyring: %s", strerror(ENOKEY));
}

static void test_names(void **state) {
	(void)state;
	for (enum gate_condition c = 0; c < GATE_CONDITIONS; c++)
		assert_non_null(gate_condition_name(c));
}

/* --- where a login comes from --- */

struct remote_case {
	const char *rhost, *connection, *address;
	enum gate_remote kind;
};

static void expect_remote(const struct remote_case *expected, bool sockets, int expected_fd) {
	char text[ADDR_TEXT];
	struct addr addr;
	int fd;
	enum gate_remote kind = gate_remote_end(expected->rhost, expected->connection, sockets, &addr, &fd);

	if (kind == GATE_REMOTE_ADDR)
		addr_format(&addr, text);
	else
		strcpy(text, "none");
	if (kind != expected->kind || fd != expected_fd ||
		(kind == GATE_REMOTE_ADDR && strcmp(text, expected->address) != 0))
		fail_msg("rhost %s, connection %s: kind %d (%s, fd %d), not %d (%s, fd %d)", expected->rhost,
			expected->connection, kind, text, fd, expected->kind, expected->address,
			expected_fd);
	if (kind == GATE_REMOTE_OUTSIDE)
		assert_int_equal(addr.family, 0);
}

static void test_remote_texts(void **state) {
	static const struct remote_case cases[] = {
		{NULL, NULL, NULL, GATE_REMOTE_NONE},
		{"", NULL, NULL, GATE_REMOTE_NONE},
		{NULL, "", NULL, GATE_REMOTE_OUTSIDE},
		{"10.77.2.5", NULL, "10.77.2.5", GATE_REMOTE_ADDR},
		{"::ffff:10.77.2.5", NULL, "10.77.2.5", GATE_REMOTE_ADDR},
		{"fd77:2::5", NULL, "fd77:2::5", GATE_REMOTE_ADDR},
		{"FD77:2:0::5", "fd77:2::5 9 fd77:2::1 22", "fd77:2::5", GATE_REMOTE_ADDR},
		{NULL, "10.77.2.5 40000 10.77.1.1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"", "10.77.2.5 40000 10.77.1.1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"10.77.2.5", "10.77.2.5 40000 10.77.1.1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"10.77.2.5", "::ffff:10.77.2.5 4 ::1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"10.77.2.5", "10.77.2.6 40000 10.77.1.1 22", NULL, GATE_REMOTE_REFUSE},
		{"fd77:2::5", "10.77.2.5 40000 10.77.1.1 22", NULL, GATE_REMOTE_REFUSE},
		{"db1.clinic-b", "10.77.2.5 4 10.77.1.1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"UNKNOWN", "10.77.2.5 4 10.77.1.1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"10.77.2.5", "UNKNOWN 65535 UNKNOWN 65535", "10.77.2.5", GATE_REMOTE_ADDR},
		{"10.77.2.5", "", "10.77.2.5", GATE_REMOTE_ADDR},
		{"UNKNOWN", "UNKNOWN 65535 UNKNOWN 65535", NULL, GATE_REMOTE_OUTSIDE},
		{"UNKNOWN", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"db1.clinic-b.mesh.internal", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"fe80::1%eth0", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"10.77.2.5 ", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{" 10.77.2.5", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"10.77.2.5\n", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"10.77.2.05", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"10.77.517", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"0x0a4d0205", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"[fd77:2::5]", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{"10.77.2.5:22", NULL, NULL, GATE_REMOTE_OUTSIDE},
		{NULL, " 10.77.2.5 4", NULL, GATE_REMOTE_OUTSIDE},
		{NULL, "10.77.2.5\t40000", NULL, GATE_REMOTE_OUTSIDE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		expect_remote(&cases[i], false, -1);
		expect_remote(&cases[i], true, -1); /* no connected socket is here yet */
	}
}

static void test_remote_socket(void **state) {
	static const struct remote_case agreed[] = {
		{NULL, NULL, "10.77.2.5", GATE_REMOTE_ADDR},
		{"", NULL, "10.77.2.5", GATE_REMOTE_ADDR},
		{"10.77.2.5", "10.77.2.5 4 10.77.1.1 22", "10.77.2.5", GATE_REMOTE_ADDR},
		{"UNKNOWN", "UNKNOWN 4", "10.77.2.5", GATE_REMOTE_ADDR},
		{"db1.clinic-b", NULL, "10.77.2.5", GATE_REMOTE_ADDR},
	};
	static const struct remote_case differing[] = {
		{"10.77.2.6", NULL, NULL, GATE_REMOTE_REFUSE},
		{NULL, "10.77.2.6 4 10.77.1.1 22", NULL, GATE_REMOTE_REFUSE},
		{"10.77.2.5", "10.77.2.6 4 10.77.1.1 22", NULL, GATE_REMOTE_REFUSE},
		{"127.0.0.1", NULL, NULL, GATE_REMOTE_REFUSE},
	};
	static const struct remote_case untold = {NULL, NULL, NULL, GATE_REMOTE_NONE};

	(void)state;
	for (int mapped = 0; mapped < 2; mapped++) {
		int fd = sandbox_accept(w.net.far, mapped ? AF_INET6 : AF_INET, "10.77.2.5", "10.77.1.1");

		assert_return_code(fd, errno);
		for (size_t i = 0; i < sizeof agreed / sizeof *agreed; i++)
			expect_remote(&agreed[i], true, fd);
		for (size_t i = 0; i < sizeof differing / sizeof *differing; i++)
			expect_remote(&differing[i], true, -1);
		expect_remote(&untold, false, -1);
		close(fd);
	}
}

/* Other connections of the process: the texts say which one is meant, and nothing else does. */
static void test_remote_sockets(void **state) {
	static const struct remote_case by_rhost = {"10.77.2.5", NULL, "10.77.2.5", GATE_REMOTE_ADDR},
					by_connection = {"db1", "10.77.2.5 4 10.77.1.1 22", "10.77.2.5",
						GATE_REMOTE_ADDR},
					other = {"127.0.0.1", NULL, "127.0.0.1", GATE_REMOTE_ADDR},
					third = {"10.77.2.6", NULL, NULL, GATE_REMOTE_REFUSE},
					untold = {NULL, NULL, NULL, GATE_REMOTE_REFUSE},
					unnamed = {"UNKNOWN", NULL, NULL, GATE_REMOTE_REFUSE};
	int local = sandbox_accept(w.net.here, AF_INET, "127.0.0.1", "127.0.0.1");
	int fd = sandbox_accept(w.net.far, AF_INET, "10.77.2.5", "10.77.1.1");
	int again;

	(void)state;
	assert_return_code(local, errno);
	assert_return_code(fd, errno);
	expect_remote(&by_rhost, true, fd);
	expect_remote(&by_connection, true, fd);
	expect_remote(&other, true, local);
	expect_remote(&third, true, -1);
	expect_remote(&untold, true, -1);
	expect_remote(&unnamed, true, -1);
	/* several sockets with one peer are one peer */
	close(local);
	again = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
	assert_return_code(again, errno);
	expect_remote(&(struct remote_case){NULL, NULL, "10.77.2.5", GATE_REMOTE_ADDR}, true, fd);
	close(again);
	close(fd);
}

/* Sockets that are no connection of a service: a listener, a resolver's, a pair. */
static void test_remote_not_sockets(void **state) {
	static const struct remote_case none = {NULL, NULL, NULL, GATE_REMOTE_NONE};
	struct sockaddr_storage name;
	socklen_t n = sandbox_sockaddr(AF_INET, "192.0.2.2", htons(53), &name);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int pair[2];

	(void)state;
	assert_return_code(connect(udp, (struct sockaddr *)&name, n), errno);
	assert_return_code(listen(listener, 1), errno);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
	expect_remote(&none, true, -1);
	close(udp);
	close(listener);
	close(pair[0]);
	close(pair[1]);
}

/* Without /proc no socket can be found: a named remote end is refused, a console stays open. */
static void test_remote_without_proc(void **state) {
	struct addr addr;
	int fd, status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		if (unshare(CLONE_NEWNS) != 0 || mount("tmpfs", "/proc", "tmpfs", 0, NULL) != 0)
			_exit(1);
		_exit(gate_remote_end("10.77.2.5", NULL, true, &addr, &fd) != GATE_REMOTE_REFUSE ||
			gate_remote_end("UNKNOWN", NULL, true, &addr, &fd) != GATE_REMOTE_REFUSE ||
			gate_remote_end(NULL, "", true, &addr, &fd) != GATE_REMOTE_REFUSE ||
			gate_remote_end("", NULL, true, &addr, &fd) != GATE_REMOTE_NONE ||
			gate_remote_end("10.77.2.5", NULL, false, &addr, &fd) != GATE_REMOTE_ADDR);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void not_here(void **state) {
	(void)state;
	printf("needs ip, and root or user namespaces for everybody\n");
	skip();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
	struct CMUnitTest tests[] = {
		TEST(test_admits),
		TEST(test_map),
		TEST(test_root_too_long),
		TEST(test_outside),
		TEST(test_outside_without_interface),
		TEST(test_not_outside_when_unknown),
		TEST(test_owner),
		TEST(test_route),
		TEST(test_route_of_the_connection),
		TEST(test_ingress_ipv4),
		TEST(test_ingress_ipv4_mapped),
		TEST(test_ingress_ipv6),
		TEST(test_ingress_unknown),
		TEST(test_key),
		TEST(test_card),
		TEST(test_derived_address),
		TEST(test_login),
		TEST(test_ssh_key),
		TEST(test_ssh_key_tells_the_login),
		TEST(test_record),
		TEST(test_record_lives_by_its_host),
		TEST(test_record_ties_host_and_key),
		TEST(test_record_length),
		TEST(test_names),
		TEST(test_remote_texts),
		TEST(test_remote_socket),
		TEST(test_remote_sockets),
		TEST(test_remote_not_sockets),
		TEST(test_remote_without_proc),
	};

	init_sample();
	if (!sandbox_enter() || !start_teller())
		for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
			tests[i] = (struct CMUnitTest){tests[i].name, not_here, NULL, NULL, NULL};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_nss_dns.c: which questions reach DNS with `hosts: files verimesh [NOTFOUND=return] dns`. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "nss_module.h"

#define ETC "/var/lib/etc"
#define QUESTION 12 /* bytes of a DNS message before it */
#define TYPE_A 1
#define TYPE_PTR 12

static bool ready; /* a network and /etc of our own */
static atomic_int questions;

/* Answers a question in place; the message's size. Whatever name has the address 192.0.2.53, and whatever
 * address the name dns.example. */
static size_t answer(uint8_t *message, size_t n) {
	static const uint8_t a[] = {0xc0, QUESTION, 0, TYPE_A, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 53};
	static const uint8_t ptr[] = {0xc0, QUESTION, 0, TYPE_PTR, 0, 1, 0, 0, 0, 9, 0, 13, 3, 'd', 'n', 's',
		7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0};
	size_t at = QUESTION;
	uint8_t type;

	while (at < n && message[at])
		at += 1U + message[at];
	at += 5;
	if (at > n)
		return 0;
	type = message[at - 3];
	message[2] |= 0x80; /* an answer */
	message[3] = 0x80;  /* no error */
	memset(message + 6, 0, 6);
	if (type == TYPE_A)
		memcpy(message + at, a, sizeof a);
	else if (type == TYPE_PTR)
		memcpy(message + at, ptr, sizeof ptr);
	message[7] = type == TYPE_A || type == TYPE_PTR;
	return at + (type == TYPE_A ? sizeof a : type == TYPE_PTR ? sizeof ptr : 0);
}

static void *serve(void *socket_fd) {
	int fd = *(int *)socket_fd;
	struct sockaddr_in from;
	uint8_t message[1024];

	for (;;) {
		socklen_t size = sizeof from;
		ssize_t n = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &size);
		size_t out = n > QUESTION ? answer(message, (size_t)n) : 0;

		questions++;
		if (out)
			sendto(fd, message, out, 0, (struct sockaddr *)&from, size);
	}
	return NULL;
}

/* getent leaves out a family of which the host has no address but loopback's. */
static bool start_server(void) {
	static int fd;
	struct sockaddr_in here = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	pthread_t thread;

	if (unshare(CLONE_NEWNET) != 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 &&
	       system("ip link set lo up && ip addr add 198.51.100.1/32 dev lo && "
		      "ip addr add 2001:db8:1::1/128 dev lo") == 0 &&
	       bind(fd, (struct sockaddr *)&here, sizeof here) == 0 &&
	       pthread_create(&thread, NULL, serve, &fd) == 0;
}

static bool write_etc(const char *name, const char *text) {
	char path[100];
	FILE *out;

	snprintf(path, sizeof path, ETC "/%s", name);
	out = fopen(path, "we");
	return out && fputs(text, out) >= 0 && fclose(out) == 0;
}

static bool make_etc(void) {
	return mkdir(ETC, 0755) == 0 &&
	       write_etc("nsswitch.conf", "passwd: files\nhosts: files verimesh [NOTFOUND=return] dns\n") &&
	       write_etc("resolv.conf", "nameserver 127.0.0.1\nsearch search.example\n") &&
	       write_etc("hosts", "127.0.0.1 localhost\n192.0.2.7 db3.clinic-b.mesh.internal\n") &&
	       write_etc("passwd", "root:x:0:0::/:/bin/sh\n") && write_etc("group", "root:x:0:\n") &&
	       mount(ETC, "/etc", "none", MS_BIND, NULL) == 0;
}

static void need_network(void) {
	need_private_state();
	if (!ready) {
		printf("no network namespace here\n");
		skip();
	}
	if (in_sanitizer()) {
		printf("getent cannot load a module built with a sanitizer\n");
		skip();
	}
}

/* Runs getent with the system's configuration, which is ours; what it says, NULL if it found nothing. Sets
 * *asked to the questions that DNS got meanwhile. */
static const char *getent(const char *arguments, int *asked) {
	static char said[4000];
	char command[PATH_MAX + 300];
	int before = questions;
	FILE *out;
	int status;

	snprintf(command, sizeof command, "LD_LIBRARY_PATH='%s' getent %s", build, arguments);
	out = popen(command, "re");
	assert_non_null(out);
	said[fread(said, 1, sizeof said - 1, out)] = 0;
	status = pclose(out);
	*asked = questions - before;
	return status == 0 ? said : NULL;
}

/* Every way to ask for a name. */
static const char *const kinds[] = {"hosts", "ahosts", "ahostsv4", "ahostsv6"};
#define KINDS (sizeof kinds / sizeof *kinds)

static void assert_kept(const char *name, bool found) {
	char arguments[300];
	int asked;

	for (size_t i = 0; i < KINDS; i++) {
		snprintf(arguments, sizeof arguments, "%s %s", kinds[i], name);
		if ((getent(arguments, &asked) != NULL) != found || asked)
			fail_msg("%s: %d questions", arguments, asked);
	}
}

static void assert_let_through(const char *arguments, const char *answered) {
	int asked;
	const char *said = getent(arguments, &asked);

	if (!said || !strstr(said, answered) || asked == 0)
		fail_msg("%s: %d questions, answer %s", arguments, asked, said ? said : "none");
}

static void known_names_are_not_asked_for(void **state) {
	(void)state;
	need_network();
	assert_kept(DB1_B, true);
	assert_kept(DB1_B ".", true);
	assert_kept(DB1_B_ALIAS, true);
	assert_kept("DB1.Clinic-B.MESH.internal", true);
}

static void nor_are_unknown_names_of_the_mesh(void **state) {
	static const char *const names[] = {"db2.clinic-b.mesh.internal", "db2.clinic-b.mesh.internal.",
		"db1.clinic-c.mesh.internal", "clinic-b.mesh.internal", "mesh.internal", "MESH.INTERNAL.",
		"a.b.c.d.mesh.internal", "old.clinic-b.mesh.internal", "_ldap._tcp.mesh.internal"};

	(void)state;
	need_network();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_kept(names[i], false);
}

static void nor_names_without_such_an_address(void **state) {
	int asked;

	(void)state;
	need_network();
	assert_null(getent("ahostsv4 " WEB_B, &asked));
	assert_int_equal(asked, 0);
	assert_non_null(getent("ahosts " WEB_B, &asked));
	assert_int_equal(asked, 0);
}

static void nor_addresses_of_the_mesh(void **state) {
	static const char *const addresses[] = {
		"10.77.2.5", "fd77:2::5", "10.77.2.7", "fd77:2::7", "10.99.0.1"};
	char arguments[100];
	int asked;

	(void)state;
	need_network();
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		snprintf(arguments, sizeof arguments, "hosts %s", addresses[i]);
		assert_int_equal(getent(arguments, &asked) != NULL, i < 2);
		assert_int_equal(asked, 0);
	}
}

static void the_files_come_first(void **state) {
	int asked;
	const char *said;

	(void)state;
	need_network();
	said = getent("hosts db3.clinic-b.mesh.internal", &asked);
	assert_non_null(said);
	assert_int_equal(strncmp(said, "192.0.2.7 ", 10), 0);
	assert_int_equal(asked, 0);
}

static void all_else_is_asked_for(void **state) {
	(void)state;
	need_network();
	assert_let_through("hosts outside.example", "192.0.2.53");
	assert_let_through("ahosts outside.example", "192.0.2.53");
	assert_let_through("ahostsv4 outside.example", "192.0.2.53");
	assert_let_through("hosts xmesh.internal", "192.0.2.53");
	assert_let_through("hosts mesh.internal.example", "192.0.2.53");
	assert_let_through("hosts db1", "db1.search.example");
	assert_let_through("hosts 192.0.2.9", "dns.example");
	assert_let_through("hosts 10.77.3.5", "dns.example");
	assert_let_through("hosts 2001:db8::5", "dns.example");
}

static void an_empty_map_keeps_them_too(void **state) {
	(void)state;
	need_network();
	sample.roster.nhosts = 0;
	build_map();
	assert_kept(DB1_B, false);
	restore_map();
	assert_kept(DB1_B, true);
}

/* Without a map nothing is the mesh's. */
static void without_a_map_all_is_asked_for(void **state) {
	(void)state;
	need_network();
	remove_map();
	assert_let_through("hosts " DB1_B, "192.0.2.53");
	assert_let_through("ahosts db2.clinic-b.mesh.internal", "192.0.2.53");
	assert_let_through("hosts 10.77.2.5", "dns.example");
	build_map();
	assert_kept(DB1_B, true);
}

static int set_up(void **state) {
	if (nss_set_up(state) != 0)
		return -1;
	ready = private_state && start_server() && make_etc();
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_names_are_not_asked_for),
		cmocka_unit_test(nor_are_unknown_names_of_the_mesh),
		cmocka_unit_test(nor_names_without_such_an_address),
		cmocka_unit_test(nor_addresses_of_the_mesh),
		cmocka_unit_test(the_files_come_first),
		cmocka_unit_test(all_else_is_asked_for),
		cmocka_unit_test(an_empty_map_keeps_them_too),
		cmocka_unit_test(without_a_map_all_is_asked_for),
	};

	return cmocka_run_group_tests_name("nss dns", tests, set_up, NULL);
}

/* test_nss_glibc.c: the NSS module as programs have it: through glibc, nsswitch.conf and getent. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nss_module.h"

#include <ifaddrs.h>
#include <net/if.h>

static void glibc_finds_accounts(void **state) {
	struct passwd *pw, user, *found;
	struct group *gr;
	gid_t list[4] = {0};
	char buffer[BUFFER];
	int n = 4;

	(void)state;
	need_private_state();
	__nss_configure_lookup("passwd", "files verimesh");
	__nss_configure_lookup("group", "files verimesh");
	__nss_configure_lookup("initgroups", "files verimesh");
	pw = getpwnam(CAROL);
	assert_non_null(pw);
	assert_int_equal(pw->pw_uid, SAMPLE_GID + 2);
	pw = getpwuid(SAMPLE_GID + 2);
	assert_non_null(pw);
	assert_string_equal(pw->pw_dir, "/home/" CAROL);
	gr = getgrgid(SAMPLE_GID);
	assert_non_null(gr);
	assert_string_equal(gr->gr_name, "clinic-b");
	assert_non_null(getgrnam("clinic-a"));
	assert_int_equal(getgrouplist(CAROL, SAMPLE_GID, list, &n), 1);
	assert_int_equal(list[0], SAMPLE_GID);
	assert_int_equal(getpwnam_r("nobody@clinic-b", &user, buffer, sizeof buffer, &found), 0);
	assert_null(found);
	errno = EIO; /* which must not come out as what went wrong */
	assert_int_equal(getpwuid_r(SAMPLE_GID + 7, &user, buffer, sizeof buffer, &found), 0);
	assert_null(found);
	assert_int_equal(getpwnam_r(CAROL, &user, buffer, 10, &found), ERANGE);
	supersede();
	assert_int_equal(unlink(PATH_MAP), 0);
	errno = EIO;
	assert_int_equal(getpwuid_r(SAMPLE_GID + 2, &user, buffer, sizeof buffer, &found), ENOENT);
	build_map();
}

/* Behind those of the files, whatever the size of the buffer is that glibc begins with. */
static void glibc_lists_accounts(void **state) {
	size_t users = 0, ours = 0, group_lines = 0;
	struct passwd *pw;
	struct group *gr;

	(void)state;
	need_private_state();
	memset(sample.policy.home, 'h', sizeof sample.policy.home - 1);
	memcpy(sample.policy.home,
		"/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p/%p", 72);
	build_map();
	__nss_configure_lookup("passwd", "files verimesh");
	__nss_configure_lookup("group", "files verimesh");
	for (setpwent(); (pw = getpwent()); users++)
		ours += strchr(pw->pw_name, '@') != NULL;
	endpwent();
	assert_int_equal(ours, SAMPLE_ACCOUNTS);
	assert_true(users > ours);
	for (setgrent(); (gr = getgrent());)
		group_lines += strncmp(gr->gr_name, "clinic-", 7) == 0;
	endgrent();
	assert_int_equal(group_lines, 2);
	sample_init(&sample);
	build_map();
}

static void glibc_resolves_names(void **state) {
	const struct addrinfo both = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
	const struct addrinfo four = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
	struct addrinfo *list;
	struct hostent *host;
	size_t n = 0;

	(void)state;
	need_private_state();
	__nss_configure_lookup("hosts", "verimesh");
	assert_int_equal(getaddrinfo(DB1_B_ALIAS, NULL, &both, &list), 0);
	assert_string_equal(list->ai_canonname, DB1_B);
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		n++;
	assert_int_equal(n, 4);
	freeaddrinfo(list);
	assert_int_equal(getaddrinfo(DB1_B, NULL, &four, &list), 0);
	assert_int_equal(list->ai_family, AF_INET);
	freeaddrinfo(list);
	assert_int_equal(getaddrinfo(WEB_B, NULL, &four, &list), EAI_NODATA);
	assert_int_equal(getaddrinfo("db2.clinic-b.mesh.internal", NULL, &both, &list), EAI_NONAME);
	host = gethostbyname(DB1_B);
	assert_non_null(host);
	assert_int_equal(host->h_addrtype, AF_INET);
	assert_string_equal(host->h_aliases[0], DB1_B_ALIAS);
	host = gethostbyname2(DB1_B, AF_INET6);
	assert_non_null(host);
	assert_int_equal(host->h_addrtype, AF_INET6);
	assert_null(gethostbyname(WEB_B));
	assert_int_equal(h_errno, NO_DATA);
}

static void glibc_resolves_addresses(void **state) {
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct addr addr = db1_addr(1);
	char name[NI_MAXHOST];
	struct hostent *host;

	(void)state;
	need_private_state();
	__nss_configure_lookup("hosts", "verimesh");
	host = gethostbyaddr(addr.bytes, 4, AF_INET);
	assert_non_null(host);
	assert_string_equal(host->h_name, DB1_B);
	memcpy(&in.sin_addr, addr.bytes, 4);
	assert_int_equal(
		getnameinfo((struct sockaddr *)&in, sizeof in, name, sizeof name, NULL, 0, NI_NAMEREQD), 0);
	assert_string_equal(name, DB1_B);
	addr = db1_addr(0);
	memcpy(&in6.sin6_addr, addr.bytes, 16);
	assert_int_equal(
		getnameinfo((struct sockaddr *)&in6, sizeof in6, name, sizeof name, NULL, 0, NI_NAMEREQD),
		0);
	assert_string_equal(name, DB1_B);
	in6.sin6_addr.s6_addr[15] ^= 1;
	assert_int_equal(
		getnameinfo((struct sockaddr *)&in6, sizeof in6, name, sizeof name, NULL, 0, NI_NAMEREQD),
		EAI_NONAME);
}

/* glibc's callers begin with a kilobyte and grow it: a host with many addresses. */
static void glibc_grows_its_buffers(void **state) {
	static struct addr addrs[400];
	struct roster_host *db1 = &sample.hosts[SAMPLE_DB1_B];
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
	struct hostent *host;
	size_t n = 0;

	(void)state;
	need_private_state();
	addrs[0] = db1->addrs[0];
	for (size_t i = 1; i < 400; i++) {
		addrs[i] = sample_addr("10.77.2.0");
		addrs[i].bytes[2] = (uint8_t)(i / 256);
		addrs[i].bytes[3] = (uint8_t)i;
	}
	db1->addrs = addrs;
	db1->naddrs = 400;
	build_map();
	sample_init(&sample);
	__nss_configure_lookup("hosts", "verimesh");
	assert_int_equal(getaddrinfo(DB1_B, NULL, &hints, &list), 0);
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		n++;
	freeaddrinfo(list);
	assert_int_equal(n, 400);
	host = gethostbyname(DB1_B);
	for (n = 0; host->h_addr_list[n]; n++)
		assert_memory_equal(host->h_addr_list[n], addrs[n + 1].bytes, 4);
	assert_int_equal(n, 399);
	build_map();
}

static bool resolves(const char *name) {
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

/* /etc/hosts stands for what comes behind the module: DNS. */
static void mesh_names_stay_out_of_what_comes_behind(void **state) {
	const char *const hosts = "/var/lib/hosts";
	FILE *file;

	(void)state;
	need_private_state();
	file = fopen(hosts, "we");
	fputs("192.0.2.1 db2.clinic-b.mesh.internal " DB1_B "\n192.0.2.2 outside.example\n", file);
	fclose(file);
	assert_int_equal(mount(hosts, "/etc/hosts", "none", MS_BIND, NULL), 0);
	__nss_configure_lookup("hosts", "verimesh [NOTFOUND=return] files");
	assert_true(resolves("outside.example"));
	assert_true(resolves(DB1_B));
	assert_false(resolves("db2.clinic-b.mesh.internal"));
	assert_null(gethostbyaddr("\x0a\x4d\x02\x07", 4, AF_INET));
	assert_non_null(gethostbyaddr("\xc0\x00\x02\x02", 4, AF_INET));
	__nss_configure_lookup("hosts", "verimesh files");
	assert_true(resolves("db2.clinic-b.mesh.internal"));
	__nss_configure_lookup("hosts", "verimesh [NOTFOUND=return] files");
	supersede();
	assert_int_equal(unlink(PATH_MAP), 0);
	assert_true(resolves("db2.clinic-b.mesh.internal")); /* no map: nothing is ours */
	build_map();
	assert_false(resolves("db2.clinic-b.mesh.internal"));
	assert_int_equal(umount2("/etc/hosts", MNT_DETACH), 0);
}

/* Runs getent with the module alone for a database; its exit status, and all that it said. */
static int getent(const char *database, const char *arguments, char *said, size_t size) {
	char command[PATH_MAX + 300];
	FILE *out;

	snprintf(command, sizeof command, "LD_LIBRARY_PATH='%s' getent -s %s:verimesh %s", build, database,
		arguments);
	out = popen(command, "re");
	assert_non_null(out);
	said[fread(said, 1, size - 1, out)] = 0;
	return WEXITSTATUS(pclose(out));
}

static void assert_says(const char *database, const char *arguments, const char *expected) {
	char said[4000];

	assert_int_equal(getent(database, arguments, said, sizeof said), 0);
	assert_string_equal(said, expected);
}

static void assert_silent(const char *database, const char *arguments) {
	char said[4000];

	if (getent(database, arguments, said, sizeof said) != 2 || said[0])
		fail_msg("%s: %s", arguments, said);
}

static void need_plain_module(void) {
	need_private_state();
	if (!in_sanitizer())
		return;
	printf("getent cannot load a module built with a sanitizer\n");
	skip();
}

/* It asks for the families only that an interface other than the loopback has. */
static void need_addresses(void) {
	bool v4 = false, v6 = false;
	struct ifaddrs *all;

	assert_int_equal(getifaddrs(&all), 0);
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (one->ifa_addr && !(one->ifa_flags & IFF_LOOPBACK)) {
			v4 |= one->ifa_addr->sa_family == AF_INET;
			v6 |= one->ifa_addr->sa_family == AF_INET6;
		}
	freeifaddrs(all);
	if (v4 && v6)
		return;
	printf("no network with IPv4 and IPv6 here\n");
	skip();
}

static void getent_finds_hosts(void **state) {
	char expected[1000];

	(void)state;
	need_plain_module();
	snprintf(expected, sizeof expected, "%s %s %s\nfd77:2::5       %s %s\n", db1_derived(), DB1_B,
		DB1_B_ALIAS, DB1_B, DB1_B_ALIAS);
	assert_says("hosts", "hosts " DB1_B, expected);
	assert_says("hosts", "hosts " DB1_B_ALIAS, expected);
	assert_says("hosts", "hosts DB1.clinic-B.Mesh.Internal.", expected);
	snprintf(expected, sizeof expected, "%-15s %s %s\n", "10.77.2.5", DB1_B, DB1_B_ALIAS);
	assert_says("hosts", "hosts 10.77.2.5", expected);
	snprintf(expected, sizeof expected, "%-15s %s %s\n", "fd77:2::5", DB1_B, DB1_B_ALIAS);
	assert_says("hosts", "hosts fd77:2::5", expected);
	assert_silent("hosts", "hosts db2.clinic-b.mesh.internal");
	assert_silent("hosts", "hosts 10.77.2.7");
	assert_silent("hosts", "hosts localhost");
}

/* Every address once for each kind of socket; the name once. */
static void getent_finds_all_addresses(void **state) {
	static const char *const kinds[] = {"ahosts", "ahostsv4", "ahostsv6"};
	static const char *const names[] = {DB1_B, DB1_B_ALIAS};

	(void)state;
	need_plain_module();
	need_addresses();
	for (size_t i = 0; i < 6; i++) {
		const char *kind = kinds[i / 2];
		char arguments[300], said[4000];
		const char *at = said;
		size_t lines = 0;

		snprintf(arguments, sizeof arguments, "%s %s", kind, names[i % 2]);
		assert_int_equal(getent("hosts", arguments, said, sizeof said), 0);
		for (; (at = strchr(at, '\n')); at++)
			lines++;
		assert_int_equal(lines, i / 2 == 0 ? 12 : 6);
		assert_int_equal(strstr(said, "10.77.2.5 ") && strstr(said, "10.77.2.6 "), i / 2 != 2);
		assert_int_equal(strstr(said, "fd77:2::5 ") && strstr(said, db1_derived()), i / 2 != 1);
		assert_non_null(strstr(said, DB1_B "\n"));
		assert_null(strstr(said, DB1_B_ALIAS));
	}
	assert_silent("hosts", "ahostsv4 " WEB_B);
	assert_silent("hosts", "ahosts db2.clinic-b.mesh.internal");
	assert_silent("hosts", "ahosts localhost");
}

#define CAROL_LINE CAROL ":*:1900000002:1900000000::/home/" CAROL ":/bin/bash\n"

static void getent_finds_accounts(void **state) {
	(void)state;
	need_plain_module();
	assert_says("passwd", "passwd " CAROL, CAROL_LINE);
	assert_says("passwd", "passwd 1900000002", CAROL_LINE);
	assert_says("passwd", "passwd",
		"erin@clinic-a:*:1880000001:1880000000::/home/erin@clinic-a:/bin/bash\n"
		"dave@clinic-b:*:1900000001:1900000000::/home/dave@clinic-b:/bin/bash\n" CAROL_LINE);
	assert_says("group", "group clinic-b", "clinic-b:*:1900000000:\n");
	assert_says("group", "group 1900000000", "clinic-b:*:1900000000:\n");
	assert_says("group", "group", "clinic-a:*:1880000000:\nclinic-b:*:1900000000:\n");
	assert_says("initgroups", "initgroups " CAROL, "carol@clinic-b       \n");
	assert_silent("passwd", "passwd carol");
	assert_silent("passwd", "passwd 1900000007");
	assert_silent("group", "group clinic-c");
	assert_silent("group", "group 1900000002");
}

/* An account may be put into groups of this host by hand. */
static void getent_finds_groups_of_the_files(void **state) {
	const char *const file = "/var/lib/group";
	char said[4000];
	FILE *out;

	(void)state;
	need_plain_module();
	out = fopen(file, "we");
	fputs("root:x:0:\nwheel:x:10:root," CAROL "\n", out);
	fclose(out);
	assert_int_equal(mount(file, "/etc/group", "none", MS_BIND, NULL), 0);
	assert_int_equal(getent("initgroups:files", "-s initgroups:'files verimesh' initgroups " CAROL, said,
				 sizeof said),
		0);
	assert_string_equal(said, "carol@clinic-b        10\n");
	assert_int_equal(umount2("/etc/group", MNT_DETACH), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(glibc_finds_accounts),
		cmocka_unit_test(glibc_lists_accounts),
		cmocka_unit_test(glibc_resolves_names),
		cmocka_unit_test(glibc_resolves_addresses),
		cmocka_unit_test(glibc_grows_its_buffers),
		cmocka_unit_test(mesh_names_stay_out_of_what_comes_behind),
		cmocka_unit_test(getent_finds_hosts),
		cmocka_unit_test(getent_finds_all_addresses),
		cmocka_unit_test(getent_finds_accounts),
		cmocka_unit_test(getent_finds_groups_of_the_files),
	};

	return cmocka_run_group_tests_name("nss glibc", tests, nss_set_up, NULL);
}

/* nss_once.c: a process that looks up one name, or some and then at its own memory. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "nss_names.h"

static bool host(const char *name) {
	char buffer[4096];
	struct hostent answer, *found = NULL;
	int h_error;

	gethostbyname2_r(name, AF_INET6, &answer, buffer, sizeof buffer, &found, &h_error);
	return found;
}

static bool user(const char *name) {
	char buffer[4096];
	struct passwd answer, *found = NULL;

	getpwnam_r(name, &answer, buffer, sizeof buffer, &found);
	return found;
}

/* One lookup of each kind. */
static bool look_up(const char *name, const char *user_name, const char *group_name) {
	struct hostent *by_name = gethostbyname2(name, AF_INET6);
	struct addrinfo *list;
	char addr[16];

	if (!by_name || getaddrinfo(name, NULL, NULL, &list) != 0)
		return false;
	freeaddrinfo(list);
	memcpy(addr, by_name->h_addr_list[0], sizeof addr);
	return gethostbyaddr(addr, sizeof addr, AF_INET6) && getpwnam(user_name) && getpwuid(bench_uid(0)) &&
	       getgrnam(group_name);
}

struct pages {
	unsigned long resident, private_; /* kB */
};

static void add(struct pages *pages, const char *line) {
	unsigned long kb;

	if (sscanf(line, "Rss: %lu", &kb) == 1)
		pages->resident += kb;
	else if (sscanf(line, "Private_%*[^:]: %lu", &kb) == 1)
		pages->private_ += kb;
}

/* Of the page tables, kB. */
static unsigned long tables(void) {
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long kb = 0;
	char line[4096];

	while (status && fgets(line, sizeof line, status) && sscanf(line, "VmPTE: %lu", &kb) != 1)
		continue;
	if (status)
		fclose(status);
	return kb;
}

/* Prints what is in memory of the module and of the map, and the page tables, in kB. */
static bool memory(void) {
	struct pages module = {0}, map = {0}, rest = {0}, *one = &rest;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[4096];

	if (!smaps)
		return false;
	while (fgets(line, sizeof line, smaps)) {
		if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
			one = strstr(line, "/libnss_v")	   ? &module
			      : strstr(line, "/peers.cdb") ? &map
							   : &rest;
		add(one, line);
	}
	fclose(smaps);
	printf("%lu %lu %lu %lu %lu\n", module.resident, module.private_, map.resident, map.private_,
		tables());
	return true;
}

/* usage: nss_once [host NAME | user NAME | memory HOST USER GROUP] */
int main(int argc, char **argv) {
	bool good = true;

	if (argc == 3)
		good = argv[1][0] == 'h' ? host(argv[2]) : user(argv[2]);
	else if (argc == 5)
		good = look_up(argv[2], argv[3], argv[4]) && memory();
	return good ? 0 : 1;
}

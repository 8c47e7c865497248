/* test_nss_buffers.c: the NSS module in buffers of every size, everywhere in memory. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdalign.h>

#include "nss_module.h"

#define GUARD_BYTES 64 /* before the buffer and behind it */
#define SKEWS 8
#define MORE 32 /* sizes behind the one that is enough */
#define MANY 12 /* addresses of a host that has many, of each family */

_Static_assert(alignof(char *) <= SKEWS && alignof(struct gaih_addrtuple) <= SKEWS, "all places");

/* A buffer between guards, a little behind a place that is aligned for everything, all of it poisoned. */
struct place {
	size_t skew, size;
	uint8_t *memory;
	char *buffer;
};

static struct place place_make(size_t skew, size_t size) {
	size_t all = GUARD_BYTES + skew + size + GUARD_BYTES;
	struct place p = {skew, size, aligned_alloc(64, (all + 63) / 64 * 64), NULL};

	assert_non_null(p.memory);
	memset(p.memory, POISON, all);
	p.buffer = (char *)p.memory + GUARD_BYTES + skew;
	return p;
}

/* Nothing was written but into the buffer. */
static void place_drop(struct place *p) {
	for (size_t i = 0; i < GUARD_BYTES + p->skew; i++)
		assert_int_equal(p->memory[i], POISON);
	for (size_t i = 0; i < GUARD_BYTES; i++)
		assert_int_equal((uint8_t)p->buffer[p->size + i], POISON);
	free(p->memory);
}

static void assert_untouched(const void *p, size_t n) {
	const uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(bytes[i], POISON);
}

/* Bytes lost to alignment. */
static size_t lost(size_t skew) {
	return (alignof(char *) - skew % alignof(char *)) % alignof(char *);
}

/* ---- hosts ---- */

/* Who is asked for, and what there is of him. */
static const struct roster_host *target;
static char target_name[200], target_alias[200];

static void aim(size_t host) {
	target = &sample.hosts[host];
	snprintf(target_name, sizeof target_name, "%s.%s.mesh.internal", target->label, target->peer->name);
	snprintf(target_alias, sizeof target_alias, "%s.%s.mesh.internal", target->label, target->peer->aid);
}

/* The target's address number i of a family, in the order in which answers have them; NULL: no more. */
static const struct addr *target_addr(int family, size_t i) {
	for (size_t k = 0; k < target->naddrs; k++)
		if (target->addrs[k].family == family && i-- == 0)
			return &target->addrs[k];
	return NULL;
}

/* All fields of the answer; its exact size. */
static size_t check_host(const struct call *c, const struct answer *a, const struct place *p) {
	const struct hostent *h = &a->host;
	size_t width = c->family == AF_INET ? 4 : 16, n = 0;
	const struct addr *addr;
	struct addr asked;

	assert_string_inside(h->h_name, target_name, p->buffer, p->size);
	assert_inside(h->h_aliases, 2 * sizeof(char *), alignof(char *), p->buffer, p->size);
	assert_string_inside(h->h_aliases[0], target_alias, p->buffer, p->size);
	assert_null(h->h_aliases[1]);
	assert_int_equal(h->h_addrtype, c->family);
	assert_int_equal(h->h_length, width);
	while ((addr = c->entry < ADDR ? target_addr(c->family, n) : n == 0 ? &asked : NULL)) {
		assert_inside(h->h_addr_list, (n + 2) * sizeof(char *), alignof(char *), p->buffer, p->size);
		assert_inside(h->h_addr_list[n], width, alignof(struct in6_addr), p->buffer, p->size);
		if (addr == &asked)
			inet_pton(c->family, c->what, asked.bytes);
		assert_memory_equal(h->h_addr_list[n++], addr->bytes, width);
	}
	assert_null(h->h_addr_list[n]);
	if (c->entry == NAME3)
		assert_ptr_equal(a->canonical, h->h_name);
	return (n + 3) * sizeof(char *) + n * width + strlen(target_name) + strlen(target_alias) + 2;
}

/* IPv6 comes first, and with it the derived address. */
static size_t check_list(const struct call *c, const struct answer *a, const struct place *p) {
	const struct gaih_addrtuple *tuple = a->list;
	size_t six = 0;

	while (target_addr(AF_INET6, six))
		six++;
	for (size_t i = 0; i < target->naddrs; i++, tuple = tuple->next) {
		const struct addr *addr = i < six ? target_addr(AF_INET6, i) : target_addr(AF_INET, i - six);

		if (i > 0 || c->entry == NAME4)
			assert_inside(
				tuple, sizeof *tuple, alignof(struct gaih_addrtuple), p->buffer, p->size);
		else
			assert_ptr_equal(tuple, &a->first);
		assert_string_inside(tuple->name, target_name, p->buffer, p->size);
		assert_int_equal(tuple->family, addr->family);
		assert_memory_equal(tuple->addr, addr->bytes, addr_size(addr));
		assert_int_equal(tuple->scopeid, 0);
	}
	assert_null(tuple);
	return target->naddrs * sizeof *tuple + strlen(target_name) + 1;
}

/* What is no answer leaves everything as it was. */
static void check_no_host(const struct call *c, const struct answer *a) {
	assert_untouched(&a->host, sizeof a->host);
	assert_untouched(&a->first, sizeof a->first);
	assert_untouched(&a->canonical, sizeof a->canonical);
	if (c->entry == NAME4)
		assert_null(a->list);
	if (c->entry == NAME4_FIRST)
		assert_ptr_equal(a->list, &a->first);
	assert_int_equal(a->ttl, OURS);
}

/* One call with one buffer; the size that the answer takes, 0 if the buffer was too small. */
static size_t try_host(const struct call *c, size_t skew, size_t size) {
	struct place p = place_make(skew, size);
	bool list = c->entry == NAME4 || c->entry == NAME4_FIRST;
	size_t taken = 0;
	struct answer a;

	call(c, p.buffer, size, &a);
	if (a.status == NSS_STATUS_SUCCESS) {
		assert_int_equal(a.error, OURS);
		assert_int_equal(a.h_error, NETDB_SUCCESS);
		assert_int_equal(a.ttl, c->entry < NAME3 || c->entry == ADDR ? OURS : 0);
		taken = list ? check_list(c, &a, &p) : check_host(c, &a, &p);
	} else {
		assert_int_equal(a.status, NSS_STATUS_TRYAGAIN);
		assert_int_equal(a.error, ERANGE);
		assert_int_equal(a.h_error, NETDB_INTERNAL);
		check_no_host(c, &a);
	}
	place_drop(&p);
	return taken;
}

/* From no buffer at all: too small up to the exact size, large enough from there on. */
static void sweep(const struct call *c) {
	for (size_t skew = 0; skew < SKEWS; skew++) {
		size_t size = 0, taken;

		while ((taken = try_host(c, skew, size)) == 0)
			assert_true(++size < BUFFER);
		assert_int_equal(size, lost(skew) + taken);
		for (size_t more = 1; more < MORE; more++)
			assert_int_equal(try_host(c, skew, size + more), taken);
	}
}

static void sweep_names(const char *name) {
	for (enum entry entry = NAME; entry < ADDR; entry++) {
		if (target_addr(AF_INET, 0))
			sweep(&(struct call){entry, name, AF_INET});
		if (entry == NAME2 || entry == NAME3)
			sweep(&(struct call){entry, name, AF_INET6});
	}
}

static void sweep_addresses(void) {
	char text[ADDR_TEXT];

	for (size_t i = 0; i < target->naddrs; i++) {
		addr_format(&target->addrs[i], text);
		for (enum entry entry = ADDR; entry < ENTRIES; entry++)
			sweep(&(struct call){entry, text, target->addrs[i].family});
	}
}

static void every_buffer_by_name(void **state) {
	(void)state;
	need_private_state();
	aim(SAMPLE_DB1_B);
	sweep_names(DB1_B);
	sweep_names(DB1_B_ALIAS);
	sweep(&(struct call){NAME3, "DB1.Clinic-B.mesh.INTERNAL.", AF_INET6});
}

static void every_buffer_for_one_address(void **state) {
	(void)state;
	need_private_state();
	aim(SAMPLE_WEB_B);
	sweep_names(WEB_B);
	sweep(&(struct call){NAME4, WEB_B_ALIAS, AF_UNSPEC});
	sweep(&(struct call){NAME4_FIRST, WEB_B, AF_UNSPEC});
	sweep_addresses();
}

static void every_buffer_by_address(void **state) {
	(void)state;
	need_private_state();
	aim(SAMPLE_DB1_B);
	sweep_addresses();
	sweep(&(struct call){ADDR, "::ffff:10.77.2.5", AF_INET6});
	sweep(&(struct call){ADDR2, "::ffff:10.77.2.6", AF_INET6});
}

/* In the card they stand mixed; an answer has each family for itself, in the card's order. */
static void every_buffer_for_many_addresses(void **state) {
	static struct addr addrs[1 + 2 * MANY];
	struct roster_host *db1 = &sample.hosts[SAMPLE_DB1_B];

	(void)state;
	need_private_state();
	addrs[0] = db1->addrs[0];
	for (size_t i = 1; i < sizeof addrs / sizeof *addrs; i++) {
		addrs[i] = sample_addr(i % 2 ? "10.77.2.100" : "fd77:2::100");
		addrs[i].bytes[i % 2 ? 3 : 15] = (uint8_t)(100 - i);
	}
	db1->addrs = addrs;
	db1->naddrs = sizeof addrs / sizeof *addrs;
	build_map();
	aim(SAMPLE_DB1_B);
	sweep_names(DB1_B);
	sweep_addresses();
	restore_map();
}

/* TRYAGAIN means the buffer and nothing else: what is not there is not there in any buffer. */
static void no_buffer_is_needed_for_no(void **state) {
	static const struct {
		struct call call;
		enum nss_status status;
		int h_error;
	} cases[] = {
		{{NAME, "db2." DB1_B, AF_INET}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
		{{NAME2, "old.clinic-b.mesh.internal", AF_INET6}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
		{{NAME4, "db2." DB1_B, AF_UNSPEC}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
		{{NAME4_FIRST, "mesh.internal", AF_UNSPEC}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
		{{NAME, WEB_B, AF_INET}, NSS_STATUS_NOTFOUND, NO_DATA},
		{{NAME2, WEB_B, AF_INET}, NSS_STATUS_NOTFOUND, NO_DATA},
		{{NAME3, WEB_B, AF_INET}, NSS_STATUS_NOTFOUND, NO_DATA},
		{{NAME3, "localhost", AF_INET}, NSS_STATUS_UNAVAIL, NO_RECOVERY},
		{{NAME3, DB1_B, AF_UNSPEC}, NSS_STATUS_UNAVAIL, NO_RECOVERY},
		{{NAME4_FIRST, "localhost", AF_UNSPEC}, NSS_STATUS_UNAVAIL, NO_RECOVERY},
		{{ADDR, "10.77.2.7", AF_INET}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
		{{ADDR2, "fd77:2::7", AF_INET6}, NSS_STATUS_NOTFOUND, HOST_NOT_FOUND},
		{{ADDR2, "127.0.0.1", AF_INET}, NSS_STATUS_UNAVAIL, NO_RECOVERY},
	};
	struct answer a;

	(void)state;
	need_private_state();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t size = 0; size < 200; size++) {
			struct place p = place_make(size % SKEWS, size);

			call(&cases[i].call, size ? p.buffer : NULL, size, &a);
			assert_int_equal(a.status, cases[i].status);
			assert_int_equal(a.h_error, cases[i].h_error);
			assert_int_equal(a.error, OURS);
			check_no_host(&cases[i].call, &a);
			place_drop(&p);
		}
}

/* No pointer for the time to live or the canonical name is a pointer to leave alone. */
static void optional_results_may_be_null(void **state) {
	char buffer[BUFFER];
	struct hostent host;
	struct gaih_addrtuple *list = NULL;
	int error, h_error;
	struct addr addr = db1_addr(1);

	(void)state;
	need_private_state();
	assert_int_equal(
		module.by_name3(DB1_B, AF_INET, &host, buffer, BUFFER, &error, &h_error, NULL, NULL),
		NSS_STATUS_SUCCESS);
	assert_int_equal(
		module.by_name4(DB1_B, &list, buffer, BUFFER, &error, &h_error, NULL), NSS_STATUS_SUCCESS);
	assert_int_equal(
		module.by_addr2(addr.bytes, 4, AF_INET, &host, buffer, BUFFER, &error, &h_error, NULL),
		NSS_STATUS_SUCCESS);
}

/* What glibc's own callers hand in: errno itself. */
static void errno_itself_gets_only_erange(void **state) {
	char buffer[BUFFER];
	struct hostent host;
	struct passwd pw;
	struct group gr;
	int h_error;

	(void)state;
	need_private_state();
	errno = OURS;
	module.by_name2(DB1_B, AF_INET, &host, buffer, BUFFER, &errno, &h_error);
	module.by_name2(WEB_B, AF_INET, &host, buffer, BUFFER, &errno, &h_error);
	module.by_name2("localhost", AF_INET, &host, buffer, BUFFER, &errno, &h_error);
	module.getpwnam(CAROL, &pw, buffer, BUFFER, &errno);
	module.getpwnam("root", &pw, buffer, BUFFER, &errno);
	module.getgrgid(SAMPLE_GID, &gr, buffer, BUFFER, &errno);
	module.getgrgid(0, &gr, buffer, BUFFER, &errno);
	assert_int_equal(errno, OURS);
	module.by_name2(DB1_B, AF_INET, &host, buffer, 8, &errno, &h_error);
	assert_int_equal(errno, ERANGE);
	errno = OURS;
	module.getpwnam(CAROL, &pw, buffer, 8, &errno);
	assert_int_equal(errno, ERANGE);
	errno = OURS;
	module.getgrgid(SAMPLE_GID, &gr, buffer, 8, &errno);
	assert_int_equal(errno, ERANGE);
}

/* ---- accounts and groups ---- */

enum kind { PWNAM, PWUID, PWENT, GRNAM, GRGID, GRENT, KINDS };

/* Who is asked for; of all it is whose turn it is. */
struct whom {
	const char *user, *group;
	uint32_t uid, gid;
};

static const struct whom whoms[] = {
	{"erin@clinic-a", "clinic-a", 1880000001, 1880000000},
	{"dave@clinic-b", "clinic-b", SAMPLE_GID + 1, SAMPLE_GID},
	{CAROL, NULL, SAMPLE_GID + 2, SAMPLE_GID},
};

static enum nss_status ask(enum kind kind, const struct whom *whom, struct passwd *pw, struct group *gr,
	char *buffer, size_t size, int *error) {
	switch (kind) {
	case PWNAM:
		return module.getpwnam(whom->user, pw, buffer, size, error);
	case PWUID:
		return module.getpwuid(whom->uid, pw, buffer, size, error);
	case PWENT:
		return module.getpwent(pw, buffer, size, error);
	case GRNAM:
		return module.getgrnam(whom->group, gr, buffer, size, error);
	case GRGID:
		return module.getgrgid(whom->gid, gr, buffer, size, error);
	default:
		return module.getgrent(gr, buffer, size, error);
	}
}

/* All fields of the answer; its exact size. */
static size_t check_account(enum kind kind, const struct whom *whom, const struct passwd *pw,
	const struct group *gr, const struct place *p) {
	if (kind >= GRNAM) {
		check_group(gr, whom->group, p->buffer, p->size);
		assert_int_equal(gr->gr_gid, whom->gid);
		return sizeof(char *) + strlen(whom->group) + sizeof "*" + 1 + 3;
	}
	check_user(pw, whom->user, p->buffer, p->size);
	assert_int_equal(pw->pw_uid, whom->uid);
	assert_int_equal(pw->pw_gid, whom->gid);
	return sizeof(char *) + 2 * strlen(whom->user) + sizeof "*" + 1 + 1 + sizeof "/home/" +
	       sizeof "/bin/bash";
}

/* One call with one buffer; the size that the answer takes, 0 if the buffer was too small. */
static size_t try_account(enum kind kind, const struct whom *whom, size_t skew, size_t size) {
	struct place p = place_make(skew, size);
	enum nss_status status;
	size_t taken = 0;
	struct passwd pw;
	struct group gr;
	int error = OURS;

	memset(&pw, POISON, sizeof pw);
	memset(&gr, POISON, sizeof gr);
	errno = OURS;
	status = ask(kind, whom, &pw, &gr, p.buffer, size, &error);
	assert_int_equal(errno, OURS);
	if (status == NSS_STATUS_SUCCESS) {
		assert_int_equal(error, OURS);
		taken = check_account(kind, whom, &pw, &gr, &p);
	} else {
		assert_int_equal(status, NSS_STATUS_TRYAGAIN);
		assert_int_equal(error, ERANGE);
		assert_untouched(&pw, sizeof pw);
		assert_untouched(&gr, sizeof gr);
	}
	place_drop(&p);
	return taken;
}

static void every_buffer_for_accounts(void **state) {
	static const enum kind kinds[] = {PWNAM, PWUID, GRNAM, GRGID};

	(void)state;
	need_private_state();
	for (size_t i = 0; i < 12; i++)
		for (size_t skew = 0; skew < SKEWS; skew++) {
			enum kind kind = kinds[i % 4];
			const struct whom *whom = &whoms[i / 4];
			size_t size = 0, taken;

			if (kind >= GRNAM && !whom->group)
				continue;
			while ((taken = try_account(kind, whom, skew, size)) == 0)
				assert_true(++size < BUFFER);
			assert_int_equal(size, lost(skew) + taken);
			for (size_t more = 1; more < MORE; more++)
				assert_int_equal(try_account(kind, whom, skew, size + more), taken);
		}
}

/* What does not fit is asked for again, and is there when it fits: of a list nobody is passed over. */
static void every_buffer_for_lists(void **state) {
	(void)state;
	need_private_state();
	for (size_t skew = 0; skew < SKEWS; skew++) {
		module.setpwent(0);
		module.setgrent(0);
		for (size_t i = 0; i < sizeof whoms / sizeof *whoms; i++)
			for (enum kind kind = PWENT; kind <= GRENT; kind += GRENT - PWENT) {
				size_t size = 0, taken;

				if (kind == GRENT && !whoms[i].group)
					continue;
				while ((taken = try_account(kind, &whoms[i], skew, size)) == 0)
					assert_true(++size < BUFFER);
				assert_int_equal(size, lost(skew) + taken);
			}
		for (size_t size = 0; size < 200; size++) {
			struct place p = place_make(skew, size);
			struct passwd pw;
			struct group gr;
			int error = OURS;

			assert_int_equal(module.getpwent(&pw, p.buffer, size, &error), NSS_STATUS_NOTFOUND);
			assert_int_equal(module.getgrent(&gr, p.buffer, size, &error), NSS_STATUS_NOTFOUND);
			assert_int_equal(error, OURS);
			place_drop(&p);
		}
	}
	assert_int_equal(module.endpwent(), NSS_STATUS_SUCCESS);
	assert_int_equal(module.endgrent(), NSS_STATUS_SUCCESS);
}

static void no_buffer_is_needed_for_no_account(void **state) {
	const struct whom nobody = {"nobody@clinic-b", "nobody", SAMPLE_GID + 7, SAMPLE_GID + 7};
	struct passwd pw;
	struct group gr;

	(void)state;
	need_private_state();
	memset(&pw, POISON, sizeof pw);
	memset(&gr, POISON, sizeof gr);
	for (enum kind kind = 0; kind < KINDS; kind++)
		for (size_t size = 0; kind != PWENT && kind != GRENT && size < 200; size++) {
			struct place p = place_make(size % SKEWS, size);
			int error = errno = OURS;

			assert_int_equal(ask(kind, &nobody, &pw, &gr, size ? p.buffer : NULL, size, &error),
				NSS_STATUS_NOTFOUND);
			assert_int_equal(error, OURS);
			assert_int_equal(errno, OURS);
			place_drop(&p);
		}
	assert_untouched(&pw, sizeof pw);
	assert_untouched(&gr, sizeof gr);
}

/* The account's only group is its primary one, which glibc brings along, or wants skipped: whatever room
 * there is and whatever limit, the list stays as it was. */
static void initgroups_adds_nothing(void **state) {
	static const long limits[] = {-1, 0, 1, 2, 3, 65536};
	static const char *const others[] = {"root", "carol", "carol@clinic-a", "clinic-b", ""};

	(void)state;
	need_private_state();
	for (long size = 1; size < 4; size++)
		for (long n = 0; n <= size; n++)
			for (size_t i = 0; i < 2 * sizeof limits / sizeof *limits; i++) {
				gid_t *list = calloc((size_t)size, sizeof *list), *was = list;
				gid_t skipped = i % 2 ? SAMPLE_GID : 100;
				long start = n, room = size;
				int error = errno = OURS;

				assert_non_null(list);
				memset(list, POISON, (size_t)size * sizeof *list);
				assert_int_equal(module.initgroups(CAROL, skipped, &start, &room, &list,
							 limits[i / 2], &error),
					NSS_STATUS_SUCCESS);
				for (size_t k = 0; k < sizeof others / sizeof *others; k++)
					assert_int_equal(module.initgroups(others[k], skipped, &start, &room,
								 &list, limits[i / 2], &error),
						NSS_STATUS_NOTFOUND);
				assert_true(start == n && room == size && list == was);
				assert_true(error == OURS && errno == OURS);
				assert_untouched(list, (size_t)size * sizeof *list);
				free(list);
			}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_buffer_by_name),
		cmocka_unit_test(every_buffer_for_one_address),
		cmocka_unit_test(every_buffer_by_address),
		cmocka_unit_test(every_buffer_for_many_addresses),
		cmocka_unit_test(no_buffer_is_needed_for_no),
		cmocka_unit_test(optional_results_may_be_null),
		cmocka_unit_test(errno_itself_gets_only_erange),
		cmocka_unit_test(every_buffer_for_accounts),
		cmocka_unit_test(every_buffer_for_lists),
		cmocka_unit_test(no_buffer_is_needed_for_no_account),
		cmocka_unit_test(initgroups_adds_nothing),
	};

	return cmocka_run_group_tests_name("nss buffers", tests, nss_set_up, NULL);
}

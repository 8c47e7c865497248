/* fuzz_map.c: fuzzes what lookups do with a map file, whatever its bytes are: the reader's and NSS's. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "../../nss_verimesh/nss_verimesh.c"

#define SIZE_AT (MAP_SUPERSEDED + 8) /* in the header */

/* The file, for the NSS module. Memory of just its size, so that a read past its end shows. */
static struct map file;

/* As the module's own, but for the mapping. */
void shared_map_use(shared_map_user *use, void *ctx) {
	use(&file, ctx);
}

/* Reads every byte that an answer points to. */
static void touch(struct span bytes) {
	for (size_t i = 0; i < bytes.n; i++)
		(void)*(const volatile uint8_t *)&bytes.p[i];
}

static void touch_card(enum map_type type, struct span what) {
	struct span login, account, keys;
	struct map_card card;

	if (!map_card(&file, type, what, 0, &card))
		return;
	touch(card.name);
	touch(card.alias);
	touch(card.aid);
	touch(card.said);
	touch(card.v4);
	touch(card.v6);
	while (map_login_next(&card.logins, &login, &account, &keys)) {
		touch(login);
		touch(account);
		touch(keys);
	}
}

static void touch_account(const struct map_account *account) {
	for (size_t i = 0; i < MAP_TEXTS; i++)
		touch(account->texts[i]);
}

static void look_for_account(enum map_type type, struct span what) {
	struct map_account account;

	if (map_account(&file, type, what, 0, &account))
		touch_account(&account);
}

static void look_at_all(enum map_type type) {
	struct map_account account;
	uint32_t place = 0, before = 0;

	while (map_account_next(&file, type, 0, &place, &account)) {
		assert(place > before);
		before = place;
		touch_account(&account);
	}
}

/* One question to NSS, in a buffer of just its size, anywhere; what is answered is in there. */
static void ask(const char *name, struct span addr, uint32_t id, size_t size) {
	char *memory = malloc(size % 8 + size + !size), *buffer = memory + size % 8;
	struct hostent host;
	struct gaih_addrtuple *list = NULL;
	struct passwd pw;
	struct group gr;
	int error, h_error, family = addr.n == 4 ? AF_INET : AF_INET6;

	assert(memory);
	if (_nss_verimesh_gethostbyname2_r(name, family, &host, buffer, size, &error, &h_error) ==
		NSS_STATUS_SUCCESS)
		for (char **a = host.h_addr_list; *a; a++)
			touch(span_of(*a, (size_t)host.h_length));
	if (_nss_verimesh_gethostbyname4_r(name, &list, buffer, size, &error, &h_error, NULL) ==
		NSS_STATUS_SUCCESS)
		for (; list; list = list->next)
			touch(span_str(list->name));
	if (_nss_verimesh_gethostbyaddr_r(addr.p, (socklen_t)addr.n, family, &host, buffer, size, &error,
		    &h_error) == NSS_STATUS_SUCCESS)
		touch(span_str(host.h_aliases[0]));
	if (_nss_verimesh_getpwnam_r(name, &pw, buffer, size, &error) == NSS_STATUS_SUCCESS)
		touch(span_str(pw.pw_shell));
	if (_nss_verimesh_getpwuid_r(id, &pw, buffer, size, &error) == NSS_STATUS_SUCCESS)
		touch(span_str(pw.pw_dir));
	if (_nss_verimesh_getgrnam_r(name, &gr, buffer, size, &error) == NSS_STATUS_SUCCESS)
		touch(span_str(gr.gr_name));
	if (_nss_verimesh_getgrgid_r(id, &gr, buffer, size, &error) == NSS_STATUS_SUCCESS)
		touch(span_str(gr.gr_passwd));
	free(memory);
}

static void list(size_t size) {
	char *buffer = malloc(size ? size : 1);
	struct passwd pw;
	struct group gr;
	int error;

	assert(buffer);
	_nss_verimesh_setpwent(0);
	while (_nss_verimesh_getpwent_r(&pw, buffer, size, &error) == NSS_STATUS_SUCCESS)
		touch(span_str(pw.pw_gecos));
	_nss_verimesh_setgrent(0);
	while (_nss_verimesh_getgrent_r(&gr, buffer, size, &error) == NSS_STATUS_SUCCESS)
		assert(!gr.gr_mem[0]);
	free(buffer);
}

/* What was cut or grown has its true size in its header, or nothing else of it would be looked at. */
static bool open_file(const uint8_t *data, size_t size, struct map_header *header) {
	const uint64_t le = htole64(size);
	uint8_t *copy = malloc(size ? size : 1);

	assert(copy);
	memcpy(copy, data, size);
	if (size >= SIZE_AT + sizeof le)
		memcpy(copy + SIZE_AT, &le, sizeof le);
	file = (struct map){copy, size};
	if (map_header(&file, header))
		return true;
	free(copy);
	return false;
}

/* Another one for every input: they are many more than what a buffer may be short of. */
static size_t any_size(const uint8_t *data, size_t size) {
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + data[i];
	return sum / 7 % 256;
}

/* The numbers and names of the seed, and what stands at the file's end, which the fuzzer chooses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *const names[] = {"db1.clinic-b.mesh.internal", "OLD.clinic-b.mesh.internal.", "",
		"carol@clinic-b", "clinic-b"};
	static const char *const addrs[] = {"10.77.2.5", "fd77:2::5"};
	const size_t some = any_size(data, size), sizes[] = {0, some, 10000};
	static const uint32_t ids[] = {1900000000, 1900000002};
	struct map_header header;
	struct addr addr;

	if (!open_file(data, size, &header))
		return 0;
	touch(header.interface);
	touch(header.domain);
	touch(header.prefixes);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert(addr_parse(span_str(addrs[i % 2]), &addr));
		map_in_domain(&file, span_str(names[i]));
		map_in_mesh(&file, &addr);
		touch_card(MAP_NAME, span_str(names[i]));
		touch_card(MAP_ADDR, addr_span(&addr));
		look_for_account(MAP_USER, span_str(names[i]));
		look_for_account(MAP_GROUP, span_str(names[i]));
		for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
			ask(names[i], addr_span(&addr), ids[i % 2], sizes[k]);
	}
	if (size >= WG_KEY_BYTES) {
		touch_card(MAP_KEY, span_of(data + size - WG_KEY_BYTES, WG_KEY_BYTES));
		look_for_account(MAP_UID, span_of(data + size - 4, 4));
		look_for_account(MAP_GID, span_of(data + size - 4, 4));
	}
	look_at_all(MAP_USERS);
	look_at_all(MAP_GROUPS);
	list(some);
	list(10000);
	free((void *)(uintptr_t)file.base);
	return 0;
}

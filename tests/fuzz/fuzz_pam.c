/* fuzz_pam.c: fuzzes what the PAM module is told, and what stands in the keyring: who gets in? */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An input is lines of a letter and a text, in which 0x01 stands for a newline: o an option; u, h, r the
 * user, PAM_RHOST, PAM_RUSER; c, a SSH_CONNECTION and SSH_AUTH_INFO_0; p the phase, by its number; s what
 * the file of the ring's serial says, R the session's record, K db1's key in the ring; f nothing can be kept
 * in the handle. What is not there is not set, and of s and K as it should be; in R and K, @ is db1's key.
 * With WireGuard, for root, db1 of pam_world.h is there; without it every address is refused.
 */
#include <assert.h>
#include <stdarg.h>

#include "fuzz.h"
#include "../modules/pam_world.h"
#include "../../pam_verimesh/pam_verimesh.c"

#define OPTIONS_MAX 8
#define HOST "db1.clinic-b.mesh.internal"

/* As far as the module is concerned. */
struct pam_handle {
	char *user, *rhost, *ruser, *connection, *auth_info, *serial, *record, *key;
	char *options[OPTIONS_MAX + 1];
	int noptions;
	bool keeps_nothing;
	unsigned phase;
	const void *data;
	unsigned lines; /* logged, of decisions */
};

static struct world w;
static char session_id[16];
static bool tunnels;

/* --- what the module calls of Linux-PAM --- */

int pam_get_user(pam_handle_t *pamh, const char **user, const char *prompt) {
	(void)prompt;
	*user = pamh->user;
	return pamh->user ? PAM_SUCCESS : PAM_CONV_ERR;
}

int pam_get_item(const pam_handle_t *pamh, int type, const void **item) {
	*item = type == PAM_RHOST ? pamh->rhost : pamh->ruser;
	return PAM_SUCCESS;
}

const char *pam_getenv(pam_handle_t *pamh, const char *name) {
	return strcmp(name, "SSH_CONNECTION") == 0 ? pamh->connection : pamh->auth_info;
}

int pam_putenv(pam_handle_t *pamh, const char *name_value) {
	(void)pamh;
	assert(strncmp(name_value, "VERIMESH_", strlen("VERIMESH_")) == 0 && strchr(name_value, '='));
	return PAM_SUCCESS;
}

int pam_set_data(pam_handle_t *pamh, const char *name, void *data,
	void (*cleanup)(pam_handle_t *pamh, void *data, int status)) {
	(void)name, (void)cleanup;
	if (pamh->keeps_nothing)
		return PAM_BUF_ERR;
	pamh->data = data;
	return PAM_SUCCESS;
}

int pam_get_data(const pam_handle_t *pamh, const char *name, const void **data) {
	(void)name;
	*data = pamh->data;
	return pamh->data ? PAM_SUCCESS : PAM_NO_MODULE_DATA;
}

/* One line of plain text, whatever the module was told. What stands in a record is root's word, but even
 * that has no line of its own. */
void pam_syslog(const pam_handle_t *pamh, int priority, const char *fmt, ...) {
	char line[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	for (const char *c = line; *c; c++)
		assert((*c >= ' ' && *c <= '~') || pamh->record || pamh->key);
	((struct pam_handle *)(uintptr_t)pamh)->lines += priority == LOG_INFO || priority == LOG_NOTICE;
}

int pam_prompt(pam_handle_t *pamh, int style, char **response, const char *fmt, ...) {
	(void)pamh, (void)fmt;
	assert(style == PAM_ERROR_MSG && !response);
	return PAM_SUCCESS;
}

struct passwd *pam_modutil_getpwuid(pam_handle_t *pamh, uid_t uid) {
	static struct passwd root = {.pw_name = "root"};

	(void)pamh;
	return uid == 0 ? &root : NULL;
}

/* --- who may get in, said in another way --- */

static bool has_option(const struct pam_handle *h, const char *option) {
	bool found = false;

	for (int i = 0; i < h->noptions; i++)
		found = found || strcmp(h->options[i], option) == 0;
	return found;
}

/* The two that db1 has in the tunnel, in every form. */
static bool is_db1(const char *text, size_t n) {
	char copy[64] = "";
	uint8_t v4[4], v6[16];
	const uint8_t *last = v4;

	if (n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	if (inet_pton(AF_INET6, copy, v6) == 1 && memcmp(v6, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		last = v6 + 12;
	else if (inet_pton(AF_INET, copy, v4) != 1)
		return false;
	return memcmp(last, "\x0a\x4d\x02\x05", 4) == 0 || memcmp(last, "\x0a\x4d\x02\x06", 4) == 0;
}

static bool is_address(const char *text, size_t n) {
	char copy[64] = "";
	uint8_t bytes[16];

	if (n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	return inet_pton(AF_INET, copy, bytes) == 1 || inet_pton(AF_INET6, copy, bytes) == 1;
}

/* All that speaks of a remote end and is an address is db1's, and something is. */
static bool comes_from_db1(const struct pam_handle *h) {
	const char *connection = h->phase == 2 || !h->connection ? "" : h->connection;
	size_t n = strcspn(connection, " ");
	bool by_connection = is_db1(connection, n),
	     by_rhost = h->rhost && is_db1(h->rhost, strlen(h->rhost));

	return (by_connection || by_rhost) && (by_connection || !is_address(connection, n)) &&
	       (by_rhost || !h->rhost || !is_address(h->rhost, strlen(h->rhost)));
}

static bool is_spoken_of(const struct pam_handle *h) {
	return (h->rhost && *h->rhost) || (h->phase != 2 && h->connection);
}

static bool shows_his_keys(const struct pam_handle *h) {
	const bool alice = strcmp(h->user, "alice") == 0;
	char *copy = strdup(h->auth_info ? h->auth_info : ""), *rest = copy;
	bool good = true, any = false;

	for (char *line; good && (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "publickey ", 10) != 0)
			continue;
		any = true;
		good = alice ? strcmp(line + 10, SAMPLE_SSH_1) == 0 || strcmp(line + 10, SAMPLE_SSH_2) == 0
			     : strcmp(line + 10, SAMPLE_SSH_BOB) == 0;
	}
	free(copy);
	return good && any;
}

static bool is_recorded(const struct pam_handle *h) {
	char account[KEYRING_PAYLOAD], login[KEYRING_PAYLOAD], host[KEYRING_PAYLOAD], key[KEYRING_PAYLOAD];
	const char *who = h->ruser && *h->ruser ? h->ruser : "root";

	if (!h->record || sscanf(h->record, "%383s %383s %383s %383s", account, login, host, key) != 4)
		return false;
	return strcmp(account, who) == 0 &&
	       ((strcmp(who, "alice") == 0 && strcmp(login, "alice") == 0) ||
		       (strcmp(who, "rsmith") == 0 && strcmp(login, "bob") == 0)) &&
	       strncasecmp(host, HOST, strlen(HOST)) == 0 && strncmp(key, w.key, WG_KEY_TEXT - 1) == 0;
}

/* Whatever else there may be against it. */
static bool may_get_in(const struct pam_handle *h) {
	if (!h->user || (h->serial && strtol(h->serial, NULL, 10) != w.ring))
		return false;
	if (has_option(h, "session") && !is_spoken_of(h))
		return is_recorded(h);
	return tunnels && comes_from_db1(h) &&
	       (strcmp(h->user, "alice") == 0 || strcmp(h->user, "rsmith") == 0) &&
	       (h->phase != 2 || !has_option(h, "require_ssh_key") || shows_his_keys(h));
}

static bool may_be_ignored(const struct pam_handle *h) {
	if (!is_spoken_of(h))
		return !has_option(h, "session");
	return has_option(h, "outside=ignore") && !comes_from_db1(h);
}

/* --- one input --- */

static void put(struct pam_handle *h, char *line) {
	const struct {
		char letter, **to;
	} texts[] = {{'u', &h->user}, {'h', &h->rhost}, {'r', &h->ruser}, {'c', &h->connection},
		{'a', &h->auth_info}, {'s', &h->serial}, {'R', &h->record}, {'K', &h->key}};

	for (char *c = line; *c; c++)
		if (*c == 1)
			*c = '\n';
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (*line == texts[i].letter)
			*texts[i].to = line + 1;
	if (*line == 'o' && h->noptions < OPTIONS_MAX)
		h->options[h->noptions++] = line + 1;
	if (*line == 'p')
		h->phase = (unsigned)(line[1] - '0') % 5;
	if (*line == 'f')
		h->keeps_nothing = true;
}

/* @ becomes the key. */
static void expand(const char *text, char out[static KEYRING_PAYLOAD]) {
	size_t n = 0;

	for (; *text && n < KEYRING_PAYLOAD - 1; text++)
		n += (size_t)snprintf(out + n, KEYRING_PAYLOAD - n, *text == '@' ? "%s" : "%.1s",
			*text == '@' ? w.key : text);
	out[n < KEYRING_PAYLOAD ? n : KEYRING_PAYLOAD - 1] = 0;
}

static int32_t link_key(const char *name, char **text, char copy[static KEYRING_PAYLOAD]) {
	int32_t id;

	if (!*text)
		return 0;
	expand(*text, copy);
	*text = copy;
	id = keyring_link(w.ring, "user", name, span_str(copy), KEYRING_OURS, 0);
	return id < 0 ? 0 : id;
}

static void drop_key(int32_t id) {
	if (id)
		keyctl_unlink(id, w.ring);
}

static void write_serial(const char *text) {
	char path[PATH_MAX];
	FILE *out;

	snprintf(path, sizeof path, WORLD_ROOT PATH_RUN "/%s.ring", w.interface);
	out = fopen(path, "w");
	assert(out);
	if (text)
		fputs(text, out);
	else
		fprintf(out, "%d\n", w.ring);
	fclose(out);
}

static int call(struct pam_handle *h) {
	static int (*const phases[])(pam_handle_t *, int, int, const char **) = {pam_sm_acct_mgmt,
		pam_sm_authenticate, pam_sm_open_session, pam_sm_close_session, pam_sm_setcred};
	static char root[] = "root=" WORLD_ROOT;
	int rc, fd = dup(0);

	h->options[h->noptions] = root;
	errno = 1234;
	rc = phases[h->phase](h, 0, h->noptions + 1, (const char **)h->options);
	assert(errno == 1234);
	close(fd);
	assert(dup(0) == fd);
	close(fd);
	return rc;
}

static void judge(const struct pam_handle *h, int rc) {
	static const int refused[] = {PAM_PERM_DENIED, PAM_AUTH_ERR, PAM_SESSION_ERR};

	if (h->phase > 2) {
		assert(rc == PAM_SUCCESS);
		return;
	}
	assert(rc == PAM_SUCCESS || rc == PAM_IGNORE || rc == PAM_SERVICE_ERR || rc == PAM_USER_UNKNOWN ||
		rc == PAM_CONV_ERR || rc == refused[h->phase]);
	assert(h->lines == (rc == PAM_SUCCESS || rc == refused[h->phase]));
	if (rc == PAM_SUCCESS)
		assert(may_get_in(h));
	if (rc == PAM_IGNORE)
		assert(may_be_ignored(h));
}

/* What the module answers to an input. */
static int ask(char *text) {
	char record[KEYRING_PAYLOAD], key[KEYRING_PAYLOAD], name[64];
	struct pam_handle h = {0};
	int32_t ids[2];
	int rc;

	for (char *line; (line = strsep(&text, "\n"));)
		put(&h, line);
	snprintf(name, sizeof name, "session:%s", session_id);
	ids[0] = link_key(name, &h.record, record);
	ids[1] = link_key(w.key, &h.key, key);
	if (h.serial)
		write_serial(h.serial);
	rc = call(&h);
	if (h.serial)
		write_serial(NULL);
	judge(&h, rc);
	assert(pam_sm_close_session(&h, 0, 0, NULL) == PAM_SUCCESS);
	if (h.phase == 2 && rc == PAM_SUCCESS && !ids[0])
		assert(keyctl_search(w.ring, "user", name, 0) < 0);
	drop_key(ids[0]);
	drop_key(ids[1]);
	return rc;
}

static void leave(void) {
	world_leave(&w);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
	char login[] = "p0\nualice\nh10.77.2.5\nc10.77.2.5 40000 10.77.1.1 22";
	char sudo[] = "p1\nuroot\nralice\nosession\nRalice alice " HOST " @";
	bool sessions;

	(void)argc, (void)argv;
	if (!sandbox_enter() || world_take_dev() < 0) {
		fputs("fuzz_pam: needs ip, and root or user namespaces for everybody\n", stderr);
		exit(1);
	}
	tunnels = world_make(&w);
	if (!tunnels) {
		fputs("fuzz_pam: without WireGuard\n", stderr);
		if (!sandbox_run(w.net.here, "mkdir -p " WORLD_ROOT PATH_STATE) || !world_sync(&w))
			exit(1);
		wg_key_encode(w.sample.hosts[SAMPLE_DB1_B].key, w.key);
	}
	sessions = world_take_session(session_id);
	if (!sessions)
		fputs("fuzz_pam: without an audit session\n", stderr);
	atexit(leave);
	/* who should get in does, or there would be nothing to find */
	assert(!tunnels || ask(login) == PAM_SUCCESS);
	assert(!sessions || ask(sudo) == PAM_SUCCESS);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char *text = strndup((const char *)data, size);

	assert(text);
	ask(text);
	free(text);
	return 0;
}

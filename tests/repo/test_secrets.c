/* Secrets are drawn here, at run time, from an alphabet and a prefix: no line of this file holds one. */
#include "repo/secrets.h"

#include "base/log.h"
#include "tests/support/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEX    "0123456789abcdef"
#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM  DIGITS LOWER UPPER
#define WORD   ALNUM "_"
#define URL64  ALNUM "_-"
#define BASE64 ALNUM "+/"

static uint64_t seed = 20260522;

static uint32_t next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33);
}

static void draw(dr_buf *out, const char *alphabet, size_t n)
{
    const size_t size = strlen(alphabet);
    for (size_t i = 0; i < n; i++)
        dr_buf_add(out, &alphabet[next_random() % size], 1);
}

static dr_secrets scan(dr_str text)
{
    dr_secrets s = {0};
    assert_int_equal(dr_secrets_scan(&s, text, NULL, NULL), DR_OK);
    for (size_t i = 0; i < s.n; i++) {
        assert_true(s.v[i].n > 0 && s.v[i].at + s.v[i].n <= text.n);
        assert_true(i == 0 || s.v[i].at >= s.v[i - 1].at + s.v[i - 1].n);
        assert_int_equal(strlen(s.v[i].fingerprint), 16);
    }
    return s;
}

static uint32_t n_lines(dr_str text)
{
    uint32_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.s[i] == '\n';
    return n;
}

/* The text with its places masked, which must keep its lines and hold no secret any more. */
static dr_buf masked(dr_str text)
{
    dr_buf out = {0};
    dr_secrets s = scan(text);

    assert_int_equal(dr_secrets_mask(&out, text, &s, NULL), DR_OK);
    assert_int_equal(n_lines(dr_buf_view(&out)), n_lines(text));
    dr_secrets again = scan(dr_buf_view(&out));
    if (again.n)
        fail_msg("found in masked text: %s in %s", again.v[0].kind, out.data);
    dr_secrets_fini(&again);
    dr_secrets_fini(&s);
    return out;
}

/* Puts the value where `form` has a "%", scans, and says whether exactly the value was found (kind NULL: any). */
static bool found_in(const char *form, dr_str value, const char *kind)
{
    dr_buf text = {0};
    const char *hole = strchr(form, '%');

    dr_buf_add(&text, form, (size_t)(hole - form));
    dr_buf_add(&text, value.s, value.n);
    dr_buf_str(&text, hole + 1);
    dr_secrets s = scan(dr_buf_view(&text));
    const bool found = s.n == 1 && s.v[0].at == (size_t)(hole - form) && s.v[0].n == value.n &&
                       (!kind || strcmp(s.v[0].kind, kind) == 0) &&
                       s.v[0].line == 1 + n_lines((dr_str){text.data, s.v[0].at});
    dr_secrets_fini(&s);
    dr_buf masked_text = masked(dr_buf_view(&text));
    dr_buf_free(&masked_text);
    dr_buf_free(&text);
    return found;
}

static size_t n_found(const char *text)
{
    dr_secrets s = scan(dr_str_of(text));
    const size_t n = s.n;
    dr_secrets_fini(&s);
    return n;
}

static void forms_of_issuers_are_found(void **state)
{
    static const struct {
        const char *kind, *prefix, *alphabet;
        size_t n;
    } issuers[] = {
        {"aws access key", "AKIA", UPPER "234567", 16},
        {"aws access key", "ASIA", UPPER "234567", 16},
        {"google api key", "AIza", URL64, 35},
        {"google client secret", "GOCSPX-", URL64, 28},
        {"google oauth token", "ya29.", URL64, 120},
        {"digitalocean token", "dop_v1_", HEX, 64},
        {"databricks token", "dapi", HEX, 32},
        {"vault token", "hvs.", ALNUM, 24},
        {"netlify token", "nfp_", ALNUM, 36},
        {"supabase token", "sbp_", HEX, 40},
        {"pulumi token", "pul-", HEX, 40},
        {"tailscale key", "tskey-", ALNUM, 30},
        {"github token", "ghp_", ALNUM, 36},
        {"github token", "gho_", ALNUM, 36},
        {"github token", "ghs_", ALNUM, 36},
        {"github token", "github_pat_", WORD, 82},
        {"gitlab token", "glpat-", ALNUM, 20},
        {"gitlab token", "glrt-", ALNUM, 20},
        {"npm token", "npm_", ALNUM, 36},
        {"pypi token", "pypi-AgEIcHlwaS5vcmc", ALNUM, 90},
        {"rubygems key", "rubygems_", HEX, 48},
        {"docker token", "dckr_pat_", ALNUM, 27},
        {"clojars token", "CLOJARS_", HEX, 60},
        {"linear key", "lin_api_", ALNUM, 40},
        {"slack token", "xoxb-", DIGITS ALNUM, 44},
        {"slack token", "xoxp-", DIGITS ALNUM, 60},
        {"slack token", "xapp-", DIGITS ALNUM, 60},
        {"stripe key", "sk_live_", ALNUM, 24},
        {"stripe key", "rk_live_", ALNUM, 99},
        {"stripe webhook secret", "whsec_", ALNUM, 32},
        {"square token", "sq0atp-", ALNUM, 22},
        {"twilio api key", "SK", HEX, 32},
        {"mailgun key", "key-", HEX, 32},
        {"brevo key", "xkeysib-", HEX, 81},
        {"shopify token", "shpat_", HEX, 32},
        {"figma token", "figd_", ALNUM, 40},
        {"anthropic key", "sk-ant-api03-", ALNUM, 95},
        {"openai key", "sk-proj-", ALNUM, 120},
        {"openrouter key", "sk-or-v1-", HEX, 64},
        {"model api key", "sk-", HEX, 32},
        {"model api key", "sk-", ALNUM, 48},
        {"hugging face token", "hf_", ALNUM, 34},
        {"replicate token", "r8_", ALNUM, 37},
        {"groq key", "gsk_", ALNUM, 52},
        {"xai key", "xai-", ALNUM, 80},
        {"nvidia key", "nvapi-", ALNUM, 64},
        {"new relic key", "NRAK-", UPPER DIGITS, 27},
        {"grafana token", "glsa_", ALNUM, 41},
        {"sentry token", "sntryu_", HEX, 64},
        {"telegram bot token", "1234567890:AA", ALNUM, 33},
    };
    static const char *const around[] = {"%",
                                         "%\n",
                                         "curl -H 'Authorization: Bearer %' host",
                                         "password = \"%\"\n",
                                         "a\nb\n  token: %\nc\n",
                                         "printf(\"\\n%\\n\");",
                                         "<key>%</key>",
                                         "see (%).",
                                         "{\"api_key\":\"%\"}",
                                         "https://x.org/?api_key=%&y=1"};
    size_t n = 0, found = 0;
    (void)state;
    for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++)
        for (size_t k = 0; k < sizeof around / sizeof around[0]; k++)
            for (int repeat = 0; repeat < 10; repeat++) {
                dr_buf key = {0};
                dr_buf_str(&key, issuers[i].prefix);
                draw(&key, issuers[i].alphabet, issuers[i].n);
                const bool ok = found_in(around[k], dr_buf_view(&key), issuers[i].kind);
                if (!ok && getenv("VERBOSE"))
                    print_message("missed %s in %s: %s\n", issuers[i].kind, around[k], key.data);
                found += ok;
                n++;
                dr_buf_free(&key);
            }
    print_message("issuers: %zu of %zu\n", found, n);
    assert_true(found * 1000 >= n * 990); /* a drawn key may look like a placeholder, once in a thousand */
}

static void keys_of_several_parts_are_found(void **state)
{
    dr_buf key = {0};
    (void)state;
    for (int repeat = 0; repeat < 20; repeat++) {
        dr_buf_clear(&key);
        dr_buf_str(&key, "SG.");
        draw(&key, URL64, 22);
        dr_buf_str(&key, ".");
        draw(&key, ALNUM, 43);
        assert_true(found_in("x = '%'\n", dr_buf_view(&key), "sendgrid key"));

        dr_buf_clear(&key);
        draw(&key, HEX, 32);
        dr_buf_str(&key, "-us12");
        assert_true(found_in("mail(\"%\")\n", dr_buf_view(&key), "mailchimp key"));

        dr_buf_clear(&key);
        draw(&key, ALNUM, 3);
        dr_buf_str(&key, "8Q~");
        draw(&key, ALNUM, 34);
        assert_true(found_in("x: %\n", dr_buf_view(&key), "azure client secret"));

        dr_buf_clear(&key);
        dr_buf_str(&key, "eyJhbGciOiJIUzI1NiJ9.eyJ");
        draw(&key, ALNUM, 60);
        dr_buf_str(&key, ".");
        draw(&key, ALNUM, 43);
        assert_true(found_in("Cookie: session=%; path=/\n", dr_buf_view(&key), "json web token"));

        dr_buf_clear(&key);
        draw(&key, UPPER DIGITS, 9);
        dr_buf_str(&key, "/");
        draw(&key, UPPER DIGITS, 11);
        dr_buf_str(&key, "/");
        draw(&key, ALNUM, 24);
        assert_true(found_in("POST https://hooks.slack.com/services/% 1", dr_buf_view(&key), "slack webhook"));
    }
    dr_buf_free(&key);
}

/* n lines of base64 with `open` before and `close` behind each. */
static void draw_lines(dr_buf *out, size_t n, const char *open, const char *close)
{
    for (size_t i = 0; i < n; i++) {
        dr_buf_str(out, open);
        draw(out, BASE64, 64);
        dr_buf_str(out, close);
    }
}

static void private_keys_are_masked_whole(void **state)
{
    static const struct {
        const char *before, *open, *close, *after;
    } forms[] = {
        {"-----BEGIN RSA PRIVATE " "KEY-----\n", "", "\n", "-----END RSA PRIVATE KEY-----\n"},
        {"-----BEGIN OPENSSH PRIVATE " "KEY-----\r\n", "", "\r\n", "-----END OPENSSH PRIVATE KEY-----\r\n"},
        {"k: |\n  -----BEGIN PRIVATE " "KEY-----\n", "  ", "\n", "  -----END PRIVATE KEY-----\nnext: 1\n"},
        {"char *k =\n \"-----BEGIN EC PRIVATE " "KEY-----\\n\"\n", "    \"", "\\n\"\n", "\"-----END EC PRIVATE KEY-----\";\n"},
        {"{\"private_key\": \"-----BEGIN PRIVATE " "KEY-----\\n", "", "\\n", "-----END PRIVATE KEY-----\\n\"}\n"},
        {"-----BEGIN RSA PRIVATE " "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233\n\n", "", "\n",
         "-----END RSA PRIVATE KEY-----\n"},
        {"-----BEGIN PGP PRIVATE " "KEY BLOCK-----\nVersion: X\n\n", "", "\n", "=AbCd\n-----END PGP PRIVATE KEY BLOCK-----\n"},
        {"# -----BEGIN DSA PRIVATE " "KEY-----\n", "# ", "\n", "# -----END DSA PRIVATE KEY-----\nint x;\n"},
        {"Comment: me\nPrivate-" "Lines: 14\n", "", "\n", "Private-MAC: 0123\n"},
        {"-----BEGIN PRIVATE " "KEY-----\n", "", "\n", ""}, /* cut off */
    };
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        dr_buf text = {0};
        dr_buf_str(&text, "before\n");
        dr_buf_str(&text, forms[i].before);
        const size_t body = text.n;
        draw_lines(&text, 14, forms[i].open, forms[i].close);
        const size_t body_end = text.n;
        dr_buf_str(&text, forms[i].after);
        dr_secrets s = scan(dr_buf_view(&text));
        assert_int_equal(s.n, 1);
        assert_string_equal(s.v[0].kind, "private key");
        assert_true(s.v[0].at >= body && s.v[0].at <= body + 8);
        assert_true(s.v[0].at + s.v[0].n + 8 >= body_end);
        dr_secrets_fini(&s);
        dr_buf out = masked(dr_buf_view(&text));
        assert_non_null(strstr(out.data, "[masked: private key]"));
        /* what is not the key stays: its markers and what follows */
        assert_int_equal(memcmp(out.data, text.data, body), 0);
        const char *tail = strstr(forms[i].after, "-----END");
        assert_true(!tail || strstr(out.data, tail));
        dr_buf_free(&out);
        dr_buf_free(&text);
    }
    assert_int_equal(n_found("if (strstr(p, \"-----BEGIN RSA PRIVATE " "KEY-----\")) load();\n"), 0);
    assert_int_equal(n_found("-----BEGIN RSA PRIVATE " "KEY-----\nXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n"), 0);
    assert_int_equal(n_found("-----BEGIN PRIVATE " "KEY-----\n<base64 of the key>\n-----END PRIVATE KEY-----\n"), 0);
}

static const char *const assigned[] = {
    "password = \"%\"\n",
    "  password: '%',\n",
    "\"password\": \"%\",\n",
    "DB_PASSWORD=%\n",
    "export API_SECRET=%\n",
    "ENV APP_TOKEN=%\n",
    "secret_key = %\n",
    "  client_secret: %\n",
    "static const char *api_key = \"%\";\n",
    "private static final String API_KEY = \"%\";\n",
    "const apiKey: string = '%';\n",
    "var accessToken string = \"%\"\n",
    "let token = String::from(\"x\"); let secret_token: &str = \"%\";\n",
    "#define WIFI_PASSWORD \"%\"\n",
    "<password>%</password>\n",
    "<add key=\"ApiKey\" value=\"%\"/>\n",
    "<bean password=\"%\"/>\n",
    "    - name: DB_PASSWORD\n      value: \"%\"\n",
    "{\"name\": \"API_TOKEN\", \"value\": \"%\"}\n",
    "config['secret'] = '%'\n",
    "os.environ[\"AUTH_TOKEN\"] = \"%\"\n",
    "'secret' => '%',\n",
    "token := \"%\"\n",
    "setPassword(\"%\");\n",
    "conn.login(\"me\", password=\"%\")\n",
    "spring.datasource.password=%\n",
    "Server=db;User Id=sa;Password=%;Trusted=1\n",
    "machine api.host.org login me password %\n",
    "machine api.host.org\n  login me\n  password %\n",
    "mysqldump --password=% db\n",
    "-H \"X-Api-Key: %\"\n",
    "CREATE USER me IDENTIFIED BY '%';\n",
    "postgres://me:%@db.prod.net:5432/app\n",
    "if (password == \"%\") {\n",
    "//registry.host.org/:_authToken=%\n",
    "s = \"{\\\"secret\\\": \\\"%\\\"}\";\n",
    "Authorization: Bearer %\r\n",
    "'aws_secret_access_key': '%'\n",
    "AccountKey=%;EndpointSuffix=x\n",
    "\xef\xbb\xbf\x41PI_SECRET=%\n", /* a byte order mark; \x41 is the A */
};

static void drawn_values_given_to_names_are_found(void **state)
{
    static const struct {
        const char *alphabet;
        size_t n;
    } values[] = {{ALNUM, 20}, {ALNUM, 32}, {BASE64, 40}, {HEX, 32}, {HEX, 40}, {LOWER DIGITS, 24}};
    size_t n = 0, found = 0;
    (void)state;
    for (size_t k = 0; k < sizeof assigned / sizeof assigned[0]; k++) {
        size_t missed = 0;
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
            for (int repeat = 0; repeat < 20; repeat++) {
                dr_buf v = {0};
                /* a slash would end an address's password, and makes a path of what it opens */
                const bool in_address = strstr(assigned[k], "://") && values[i].n == 40;
                draw(&v, values[i].n == 40 ? HEX : values[i].alphabet, 1);
                draw(&v, in_address ? HEX : values[i].alphabet, values[i].n - 1);
                const bool ok = found_in(assigned[k], dr_buf_view(&v), NULL);
                missed += !ok;
                if (!ok && getenv("VERBOSE"))
                    print_message("missed %s in %s", v.data, assigned[k]);
                n++;
                dr_buf_free(&v);
            }
        if (missed > 6)
            print_message("%zu of 120 missed in: %s", missed, assigned[k]);
        found += 120 - missed;
    }
    print_message("drawn values: %zu of %zu\n", found, n);
    assert_true(found * 100 >= n * 98);
}

/* Passwords as people make them: a word with letters replaced, capitals inside, a sign and digits. */
static void chosen_passwords_are_found(void **state)
{
    static const char *const words[] = {"dragon", "sunshine", "monkey", "shadow", "winter", "forest", "keyboard", "coffee"};
    static const char *const forms[] = {"password = \"%\"\n", "\"password\": \"%\",\n", "<password>%</password>\n",
                                        "db_pass: '%'\n", "DB_PASSWORD=%\n", "admin_pwd = '%'\n"};
    size_t n = 0, found = 0;
    (void)state;
    for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++)
        for (int repeat = 0; repeat < 100; repeat++) {
            dr_buf v = {0};
            const char *word = words[next_random() % 8];
            for (size_t i = 0; word[i]; i++) {
                const char *leet = strchr("a4e3i1o0s5", word[i]);
                char c = word[i];
                if (leet && next_random() % 2)
                    c = leet[1];
                else if (next_random() % 4 == 0)
                    c = (char)(c - 32);
                dr_buf_add(&v, &c, 1);
            }
            draw(&v, "!#+=*?", 1);
            draw(&v, DIGITS, 2);
            const bool ok = found_in(forms[k], dr_buf_view(&v), NULL);
            if (!ok && getenv("VERBOSE"))
                print_message("missed %s in %s", v.data, forms[k]);
            found += ok;
            n++;
            dr_buf_free(&v);
        }
    print_message("chosen passwords: %zu of %zu\n", found, n);
    assert_true(found * 100 >= n * 80);
}

static void what_is_no_secret_is_left_alone(void **state)
{
    static const char *const lines[] = {
        "password = \"changeme\"", "password: example", "PASSWORD=${DB_PASSWORD}", "token = \"<your token here>\"",
        "api_key = \"xxxxxxxxxxxxxxxxxxxxxxxx\"", "secret: {{ vault.secret }}", "password = \"\"", "token = None",
        "token = get_token(request)", "token = parser.next_token;", "password = self.password", "int password_length = 32;",
        "secret = os.environ['SECRET_KEY_BASE_V2']", "api_key = \"0123456789abcdef0123456789abcdef\"",
        "const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:jwt'", "token: \"00000000-0000-0000-0000-000000000000\"",
        "token: \"3f2504e0-4f89-11d3-9a0c-0305e82c3301\"", "commit 7f3b2c1d9e8a4f5067b8c9d0e1f2a3b4c5d6e7f8",
        "\"integrity\": \"sha512-Xk29fLm3QzVbNmKj8hGfDsApOiUyTrEwQ1zXcVbNm==\"",
        "checksum = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "password_hash = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\"",
        "password: $2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
        "public_key = \"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7bT\"",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7vbqajDRETT2v9 me@host", "https://user:password@example.com/",
        "postgres://postgres:postgres@localhost/db", "redis://:${PASS}@host:6379", "http://host:8080@x",
        "nextPageToken: \"CAUQAA9fLm3QzVbNmKj8hGfDsApOiUyTrEwQ\"", "csrf_token = \"Xk29fLm3QzVbNmKj8hGfDsApOiUyTrEwQ\"",
        "Authorization: Bearer <token>", "Authorization: Basic dXNlcjpwYXNzd29yZA==", "-u user:password",
        "enum { TOKEN_IDENTIFIER, TOKEN_NUMBER };", "case TOKEN_STRING: return \"string\";",
        "password = input(\"Password: \")", "the secret: never tell anyone", "msg = \"Enter your password: \";",
        "if (token == \"function\") {", "kwargs['token'] = 'Token.Literal.String'", "tokens: [\"a\", \"b\"]",
        "passwordField = \"input[name=password]\"", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "secret_name: \"prod/db/main\"",
        "password_file: /run/secrets/db_password_v2", "secretRef: my-app-secret-x7k2", "token = \"a\" * 40",
        "<password>********</password>", "requirepass foobared", "password: test1234", "x = ghp_token_name_here",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWy8TxGcIHRh5XGpO4dFVfDjeNY\n-----END PUBLIC KEY-----",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        dr_secrets s = scan(dr_str_of(lines[i]));
        if (s.n)
            fail_msg("%s in: %s", s.v[0].kind, lines[i]);
        dr_secrets_fini(&s);
    }
}

/* In addresses: keys without a user, and passwords too short to look drawn. The digits stand apart, so that no scanner of
 * this repository takes them for a key. */
static void keys_and_short_passwords_in_addresses_are_found(void **state)
{
    static const struct {
        const char *line, *secret; /* % stands for the secret */
    } found[] = {
        {"dsn: https://%@o4501.ingest.sentry.io/4502", "7c1fa3" "e09b5d428c" "96d1b07e3fa2c584"},
        {"SENTRY_DSN=https://%@errors.acme.dev:9000/team/17\n", "7c1fa3" "e09b5d428c" "96d1b07e3fa2c584"},
        {"redis://cache:%@cache-1.internal.acme.dev:6379/0", "k7!"},
        {"postgres://app:%@db.acme.dev/app", "sun4moon"},
        {"amqp://:%@queue.acme.dev", "Tr3e"},
    };
    static const char *const left[] = {
        "https://7c1fa3e09b5d428c@sentry.acme.dev/4", "https://00000000000000000000000000000000@sentry.io/1",
        "git+ssh://7c1fa3e09b5d428c96d1b07e3fa2c584@host.acme.dev/repo.git", "http://proxy.acme.dev:8080@x.acme.dev",
        "https://bob:1234@acme.dev", "ftp://anonymous:guest@ftp.acme.dev", "http://app:app@db.acme.dev", "http://u:p1@x.example.com",
        "postgres://app:a4b@localhost/app", "s://u:a%25b@acme.dev", "mongodb://root:pass1@db.acme.dev",
    };
    (void)state;
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        dr_buf line = {0};
        const char *gap = strchr(found[i].line, '%');
        dr_buf_printf(&line, "%.*s%s%s", (int)(gap - found[i].line), found[i].line, found[i].secret, gap + 1);
        dr_secrets s = scan(dr_buf_view(&line));
        if (s.n != 1 || s.v[0].at != (size_t)(gap - found[i].line) || s.v[0].n != strlen(found[i].secret))
            fail_msg("%zu places in: %s", s.n, line.data);
        dr_secrets_fini(&s);
        dr_buf_free(&line);
    }
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        dr_secrets s = scan(dr_str_of(left[i]));
        if (s.n)
            fail_msg("%s in: %s", s.v[0].kind, left[i]);
        dr_secrets_fini(&s);
    }
}

static void fingerprints_name_a_secret_and_an_allow_list_takes_it_out(void **state)
{
    dr_buf key = {0}, text = {0}, list = {0};
    dr_secret_allow *allow = NULL, *none = NULL;
    dr_error err;
    char path[] = "/tmp/deepread-allow-XXXXXX";
    (void)state;

    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    dr_buf_str(&key, "ghp_");
    draw(&key, ALNUM, 36);
    dr_buf_printf(&text, "a = '%s'\nb = '%s'\npassword = 'dr4g0N!xy'\n", key.data, key.data);
    dr_secrets s = scan(dr_buf_view(&text));
    assert_int_equal(s.n, 3);
    assert_string_equal(s.v[0].fingerprint, s.v[1].fingerprint);
    assert_string_not_equal(s.v[0].fingerprint, s.v[2].fingerprint);
    assert_int_equal(s.v[2].line, 3);

    dr_buf_printf(&list, "# mine\r\n\n  %s  # a test key\n%s", s.v[0].fingerprint, s.v[0].fingerprint);
    assert_int_equal(dr_write_file(path, list.data, list.n, NULL), DR_OK);
    assert_int_equal(dr_secret_allow_open(&allow, path, NULL), DR_OK);
    dr_secrets left = {0};
    assert_int_equal(dr_secrets_scan(&left, dr_buf_view(&text), allow, NULL), DR_OK);
    assert_int_equal(left.n, 1);
    assert_string_equal(left.v[0].kind, "password");
    const dr_digest with = dr_secret_allow_digest(allow);
    dr_secret_allow_close(allow);

    /* the set counts, not how it is written */
    dr_buf_clear(&list);
    for (const char *p = s.v[0].fingerprint; *p; p++)
        dr_buf_printf(&list, "%c", *p >= 'a' ? *p - 32 : *p);
    assert_int_equal(dr_write_file(path, list.data, list.n, NULL), DR_OK);
    assert_int_equal(dr_secret_allow_open(&allow, path, NULL), DR_OK);
    const dr_digest same = dr_secret_allow_digest(allow), empty = dr_secret_allow_digest(NULL);
    assert_memory_equal(&with, &same, sizeof with);
    assert_memory_not_equal(&with, &empty, sizeof with);
    dr_secret_allow_close(allow);

    assert_int_equal(dr_write_file(path, "0123\n", 5, NULL), DR_OK);
    assert_int_equal(dr_secret_allow_open(&allow, path, &err), DR_ERR_FORMAT);
    assert_null(allow);
    assert_non_null(strstr(err.msg, ":1: "));
    unlink(path);
    assert_int_equal(dr_secret_allow_open(&none, path, NULL), DR_OK);
    const dr_digest missing = dr_secret_allow_digest(none);
    assert_memory_equal(&missing, &empty, sizeof empty);
    dr_secret_allow_close(none);
    dr_secret_allow_close(NULL);
    dr_secrets_fini(&left);
    dr_secrets_fini(&s);
    dr_buf_free(&key);
    dr_buf_free(&text);
    dr_buf_free(&list);
}

/* Two megabytes of what each matcher would like to read over and over. A scan that is quadratic in any of these takes
 * minutes; a linear one takes milliseconds, some hundred under sanitizers. */
static void hostile_text_takes_linear_time(void **state)
{
    static const char *const pieces[] = {
        "password=", "password=\"", "password = \"a", "eyJa", "eyJaaaaaaaaaaaaaaaaaaaaa.", "://", "://a:", "://a:b",
        "-----BEGIN PRIVATE " "KEY-----", "-----BEGIN PRIVATE " "KEY-----\nx: y\n", "-----BEGIN PRIVATE " "KEY-----\n ",
        "BEGIN PRIVATE " "KEY-----AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "Private-Lines: 1\n", "ghp_", "ghp_a", "sk-aaaaaa",
        "bearer ", "bearer a", "basic a", "token:token=", "secret\"", "secret,\n", "name: token\n", "<token>", "\"", "\\\"",
        "services/", "0:AA", "8Q~", "00-us1", "password\"\n\n,value", "token: a?<*&", "login password ", "AKIA", "=", "a", "\n",
        "\xff\xfe", "eyJa.", "A", "api_key", "passpasspass_", "x:-----BEGIN PRIVATE " "KEY-----\n",
    };
    const size_t size = 2 << 20;
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        dr_buf text = {0};
        while (text.n < size)
            dr_buf_str(&text, pieces[i]);
        const uint64_t start = dr_cpu_us();
        dr_secrets s = scan(dr_buf_view(&text));
        const uint64_t us = dr_cpu_us() - start;
        if (us > 5000000)
            fail_msg("%s: %llu ms", pieces[i], (unsigned long long)us / 1000);
        dr_secrets_fini(&s);
        dr_buf_free(&text);
    }
}

static void where_a_text_is_cut_nothing_is_read_behind(void **state)
{
    dr_buf text = {0};
    (void)state;
    for (size_t k = 0; k < sizeof assigned / sizeof assigned[0]; k++)
        dr_buf_str(&text, assigned[k]);
    dr_buf_str(&text, "-----BEGIN PRIVATE " "KEY-----\n");
    draw_lines(&text, 2, "", "\n");
    for (size_t n = 0; n <= text.n; n++) {
        char *copy = malloc(n ? n : 1); /* exactly as long, so that the sanitizer sees one byte more */
        assert_non_null(copy);
        memcpy(copy, text.data, n);
        dr_secrets s = scan((dr_str){copy, n});
        dr_secrets_fini(&s);
        free(copy);
    }
    dr_buf_free(&text);
}

/* Long numbers alone look chosen; the part behind the last dash does not. */
static void numbers_before_the_drawn_part_do_not_hide_it(void **state)
{
    dr_buf key = {0};
    int n = 0;
    (void)state;
    for (int repeat = 0; repeat < 50; repeat++) {
        dr_buf_clear(&key);
        dr_buf_str(&key, "xo");
        dr_buf_str(&key, "xb-");
        draw(&key, "123456789", 12);
        dr_buf_str(&key, "-");
        draw(&key, "123456789", 13);
        dr_buf_str(&key, "-");
        draw(&key, DIGITS ALNUM, 24);
        n += found_in("SLACK_BOT_TOKEN=\"%\"\n", dr_buf_view(&key), "slack token");
    }
    assert_in_range(n, 48, 50);
    dr_buf_free(&key);
}

static void running_out_of_memory_is_an_error(void **state)
{
    dr_buf text = {0};
    dr_error err;
    (void)state;
    for (int i = 0; i < 20; i++) {
        dr_buf_str(&text, "k = ghp_");
        draw(&text, ALNUM, 36);
        dr_buf_str(&text, "\n");
    }
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_secrets s = {0};
        alloc_fail_at(at);
        const dr_status st = dr_secrets_scan(&s, dr_buf_view(&text), NULL, &err);
        failed = alloc_fail_off();
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        assert_true(failed || s.n == 20);
        dr_secrets_fini(&s);
    }
    dr_buf_free(&text);
}

/* test_repo_secrets --bench FILE...: what is found in files, and how fast. */
static int bench(int n, char **paths)
{
    uint64_t bytes = 0, us = 0, places = 0;

    for (int i = 0; i < n; i++) {
        dr_buf text = {0};
        dr_secrets s = {0};
        if (dr_read_file(&text, paths[i], 16 << 20, NULL) == DR_OK) {
            const uint64_t start = dr_cpu_us();
            if (dr_secrets_scan(&s, dr_buf_view(&text), NULL, NULL) != DR_OK)
                return 1;
            us += dr_cpu_us() - start;
            bytes += text.n;
            places += s.n;
            for (size_t k = 0; k < s.n; k++)
                printf("%s:%u: %s %s\n", paths[i], s.v[k].line, s.v[k].kind, s.v[k].fingerprint);
        }
        dr_secrets_fini(&s);
        dr_buf_free(&text);
    }
    printf("%.1f MB, %llu places, %.0f MB/s\n", (double)bytes / 1e6, (unsigned long long)places,
           us ? (double)bytes / (double)us : 0);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_issuers_are_found),
        cmocka_unit_test(keys_of_several_parts_are_found),
        cmocka_unit_test(private_keys_are_masked_whole),
        cmocka_unit_test(drawn_values_given_to_names_are_found),
        cmocka_unit_test(chosen_passwords_are_found),
        cmocka_unit_test(what_is_no_secret_is_left_alone),
        cmocka_unit_test(keys_and_short_passwords_in_addresses_are_found),
        cmocka_unit_test(fingerprints_name_a_secret_and_an_allow_list_takes_it_out),
        cmocka_unit_test(hostile_text_takes_linear_time),
        cmocka_unit_test(where_a_text_is_cut_nothing_is_read_behind),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(numbers_before_the_drawn_part_do_not_hide_it),
    };

    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench(argc - 2, argv + 2);
    return cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
}

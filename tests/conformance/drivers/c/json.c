#include "json.h"

#include <stdlib.h>

static const char *blank(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

/* Past a string that begins at `at`. */
static const char *past_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\') at++;
    return at < end ? at + 1 : end;
}

/* Past the value that begins at `at`. */
static const char *past_value(const char *at, const char *end) {
    int depth = 0;
    if (at < end && *at == '"') return past_string(at, end);
    if (at < end && *at != '{' && *at != '[') {
        while (at < end && *at != ',' && *at != '}' && *at != ']') at++;
        return at;
    }
    while (at < end) {
        if (*at == '"') {
            at = past_string(at, end);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
        if (depth == 0) break;
    }
    return at;
}

static rps_str value_at(const char *at, const char *end) {
    rps_str value = {at, (size_t)(past_value(at, end) - at)};
    while (value.len > 0 && value.data[value.len - 1] == ' ') value.len--;
    return value;
}

rps_str json_get(rps_str object, const char *name) {
    rps_str none = {NULL, 0};
    const char *at = object.data, *end = object.data + object.len;
    if (object.len == 0 || *at != '{') return none;
    at = blank(at + 1, end);
    while (at < end && *at == '"') {
        const char *key = at + 1, *key_end = past_string(at, end) - 1;
        at = blank(blank(key_end + 1, end) + 1, end);
        if ((size_t)(key_end - key) == strlen(name) && memcmp(key, name, strlen(name)) == 0) return value_at(at, end);
        at = blank(past_value(at, end), end);
        if (at < end && *at == ',') at = blank(at + 1, end);
    }
    return none;
}

rps_str json_first(rps_str array) {
    rps_str none = {NULL, 0};
    const char *end = array.data + array.len, *at;
    if (array.len == 0 || *array.data != '[') return none;
    at = blank(array.data + 1, end);
    return at < end && *at != ']' ? value_at(at, end) : none;
}

rps_str json_next(rps_str array, rps_str element) {
    rps_str none = {NULL, 0};
    const char *end = array.data + array.len, *at = blank(element.data + element.len, end);
    if (at >= end || *at != ',') return none;
    return value_at(blank(at + 1, end), end);
}

static unsigned hex4(const char *at) {
    char digits[5] = {at[0], at[1], at[2], at[3], 0};
    return (unsigned)strtoul(digits, NULL, 16);
}

static char *put_utf8(char *out, unsigned code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

char *json_text(rps_str value, size_t *len) {
    const char *at, *end;
    char *text, *out;
    if (value.len < 2 || *value.data != '"') return NULL;
    at = value.data + 1, end = value.data + value.len - 1;
    text = out = malloc(value.len);
    if (text == NULL) abort();
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        at++;
        switch (*at++) {
            case 'n': *out++ = '\n'; break;
            case 't': *out++ = '\t'; break;
            case 'r': *out++ = '\r'; break;
            case 'b': *out++ = '\b'; break;
            case 'f': *out++ = '\f'; break;
            case 'u': {
                unsigned code = hex4(at);
                at += 4;
                if (code >= 0xd800 && code < 0xdc00 && end - at >= 6) {
                    code = 0x10000 + ((code - 0xd800) << 10) + (hex4(at + 2) - 0xdc00);
                    at += 6;
                }
                out = put_utf8(out, code);
                break;
            }
            default: *out++ = at[-1];
        }
    }
    *out = 0;
    if (len != NULL) *len = (size_t)(out - text);
    return text;
}

int64_t json_number(rps_str value, int64_t otherwise) {
    return value.len == 0 ? otherwise : strtoll(value.data, NULL, 10);
}

bool json_is(rps_str value, const char *literal) {
    return value.len == strlen(literal) && memcmp(value.data, literal, value.len) == 0;
}

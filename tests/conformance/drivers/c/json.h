/* A small JSON reader: values are views of the text, looked into when somebody asks. Enough for the runner's lines, which
 * are known to be JSON. */
#ifndef CONFORMANCE_JSON_H
#define CONFORMANCE_JSON_H

#include <realtime_pubsub.h>
#include <stdbool.h>
#include <stdint.h>

/* The value of a field of an object; an empty view where there is none. */
rps_str json_get(rps_str object, const char *name);
/* The first element of an array, and the one after another; empty views at the end. */
rps_str json_first(rps_str array);
rps_str json_next(rps_str array, rps_str element);
/* A string's text without its escapes, ending with NUL, to be freed; its length goes to `len`. NULL where it is none. */
char *json_text(rps_str value, size_t *len);
int64_t json_number(rps_str value, int64_t otherwise);
bool json_is(rps_str value, const char *literal);

#endif


/* ---- What structs begin as ---- */

#ifdef __cplusplus
/* In C++ a function, since C's designated initialisers are not C++17. */
#define RPS_INIT(type) ([] { type value = type(); value.size = sizeof(type); return value; }())
#else
#define RPS_INIT(type) ((type){.size = sizeof(type)})
#endif
#define RPS_OPTIONS_INIT RPS_INIT(rps_options)
#define RPS_PUBLISH_OPTIONS_INIT RPS_INIT(rps_publish_options)
#define RPS_REPLY_OPTIONS_INIT RPS_INIT(rps_reply_options)
#define RPS_GATEWAY_OPTIONS_INIT RPS_INIT(rps_gateway_options)
#define RPS_TOKEN_OPTIONS_INIT RPS_INIT(rps_token_options)
#define RPS_EVENT_VIEW_INIT RPS_INIT(rps_event_view)
#define RPS_STATS_INIT RPS_INIT(rps_stats)
#define RPS_SENDER_INIT RPS_INIT(rps_sender)
#define RPS_PRESENCE_INIT RPS_INIT(rps_presence)

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REALTIME_PUBSUB_H */

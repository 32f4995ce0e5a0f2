/* A string literal as two arguments: a pointer and a length. */
#define RPS_LIT(literal) ("" literal ""), (sizeof(literal) - 1)
/* Text that ends with NUL as two arguments. It is evaluated twice. */
#define RPS_STR(text) (text), strlen(text)
/* The two arguments that printf's %.*s wants for an rps_str. */
#define RPS_ARG(view) (int)(view).len, (view).data
/* A string literal as an rps_str, for options. */
#ifdef __cplusplus
#define RPS_VIEW(literal) (rps_str{"" literal "", sizeof(literal) - 1})
#else
#define RPS_VIEW(literal) ((rps_str){"" literal "", sizeof(literal) - 1})
#endif

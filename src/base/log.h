/* The log. Libraries never log above debug; what a user must know is returned or is an event.
 *
 * One sink a process: by default stderr, "PROGRAM: text". Any thread may log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

typedef void log_sink(enum log_level level, const char *text, void *arg);

/* Before the first thread: the name put before each line, the highest level shown (default
 * warning), and, if sink is not NULL, where lines go instead of stderr. */
void log_setup(const char *program, enum log_level max_level, log_sink *sink, void *arg);

/* One line without a newline; longer than 2,047 bytes is cut. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

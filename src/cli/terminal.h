/* How large a terminal is. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

/* Columns and rows of the terminal that fd is; 0 when it is none, or does not say. */
unsigned terminal_columns(int fd);
unsigned terminal_rows(int fd);

#endif

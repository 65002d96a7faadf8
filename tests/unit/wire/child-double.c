/* A child that does what its start message says, for test-child. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "wire/ipc.h"

int
main(void)
{
    struct err err = ERR_INIT;
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "double", &start, &err) < 0)
        return 1;
    const char *act = json_get_str(start, "do", "");
    if (strcmp(act, "die") == 0)
        raise(SIGABRT);
    if (strcmp(act, "exit") == 0)
        return 3;
    if (strcmp(act, "stay") == 0)
        for (;;)
            pause();
    if (strcmp(act, "fail") == 0) {
        struct err failure = ERR_INIT;
        err_set(&failure, ERR_DENIED, "not today");
        return ipc_send_result(IPC_CHILD_FD, &failure, NULL, &err) < 0;
    }
    ipc_send(IPC_CHILD_FD, json_pack("{s:s, s:i}", "type", "progress", "n", 1), &err);
    ipc_send(IPC_CHILD_FD, json_pack("{s:s, s:i}", "type", "progress", "n", 2), &err);
    if (strcmp(act, "obey") == 0) {
        auto_json json_t *wish = NULL;
        struct err failure = ERR_INIT;
        if (ipc_recv(IPC_CHILD_FD, -1, &wish, &err) != 1)
            return 1;
        err_set(&failure, ERR_CANCELLED, "%s", json_get_str(wish, "wish", "?"));
        return ipc_send_result(IPC_CHILD_FD, &failure, NULL, &err) < 0;
    }
    return ipc_send_result(IPC_CHILD_FD, NULL, json_pack("{s:i}", "answer", 42), &err) < 0;
}

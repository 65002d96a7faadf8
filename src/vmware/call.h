/* One call of the API, with everything that may happen to it. For this folder only. */
#ifndef VMWARE_CALL_H
#define VMWARE_CALL_H

#include "vmware/fault.h"
#include "vmware/schema.h"
#include "vmware/session.h"
#include "vmware/texts.h"
#include "wire/http.h"
#include "wire/xml.h"

#define CALL_TIMEOUT_S 120
#define CALL_MAX_BYTES ((uint64_t)1 << 30) /* of an answer of which pieces are cut out */
#define CALL_MAX_WHOLE_BYTES ((uint64_t)64 << 20)
#define CALL_MAX_NODES 300000
#define CALL_MAX_HELD_BYTES ((size_t)64 << 20)
#define CALL_TRIES 5

struct vmware_session {
    struct http *http;
    char *host, *user, *ca_file, *thumbprint;
    char *password, *cookie; /* secrets; cookie NULL: logged out */
    char *url;               /* https://host:port/sdk */
    char *session_key;       /* of the session, for HasPrivilegeOnEntities */
    char endpoint[300];
    unsigned port;
    char operation[48];
    bool (*cancelled)(void *arg);
    void *cancelled_arg;

    struct vmware_texts *texts; /* of about */
    struct vmware_about about;
    const char *version; /* for SOAPAction */
    struct {
        char root[VMWARE_MOREF_MAX], collector[VMWARE_MOREF_MAX], views[VMWARE_MOREF_MAX],
            sessions[VMWARE_MOREF_MAX], search[VMWARE_MOREF_MAX], rights[VMWARE_MOREF_MAX],
            licences[VMWARE_MOREF_MAX];
    } at;

    struct err refused; /* why the last login was; kind ERR_NONE: it was not */
    int64_t refused_ns; /* when */
    unsigned n_logins;  /* a change means that views and filters are gone */
    unsigned n_calls;
    int64_t used_ns; /* when something was last answered */
    struct fault fault;
};

/* An answer: what is not cut out of it. Zero it first. */
struct soap_reply {
    struct xml_doc *doc;
    const struct xml_node *response; /* <XxxResponse>: its children are returnval */
};
void soap_reply_free(struct soap_reply *reply);
#define auto_soap_reply AUTO(soap_reply_free)

struct soap_call {
    const char *what; /* "find web01", for the error's text */
    int timeout_s;    /* 0: CALL_TIMEOUT_S; long polls say more */
    bool once;        /* never sent again after it may have been carried out */
    bool bare;        /* neither log in again nor wait and repeat */
    const char *cut;  /* see wire/xml.h; repeated only while nothing was cut out */
    xml_cut_fn *on_cut;
    void *arg;
};

/* Begin a message on one of the session's objects. */
void call_begin(struct vmware_session *session, struct soap_message *message, const char *method,
                const char *this_type, const char *this_value);

/* Finish the message, send it and read the answer. */
int call_send(struct vmware_session *session, struct soap_message *message,
              const struct soap_call *call, struct soap_reply *ret, struct err *err);

/* A call without arguments; reply may be NULL. */
int call_plain(struct vmware_session *session, const char *method, const char *this_type,
               const char *this_value, const struct soap_call *call, struct soap_reply *reply,
               struct err *err);

/* The same for a method that starts a task: its moref. Such a call is sent once. */
int call_task(struct vmware_session *session, struct soap_message *message, const char *what,
              char ret_task[VMWARE_MOREF_MAX], struct err *err);

/* Text of the only returnval; "" when there is none. */
const char *reply_text(const struct soap_reply *reply);

/* It, as a moref: ERR_INVALID when it is none. */
int reply_moref(const struct vmware_session *session, const struct soap_reply *reply,
                const char *what, char ret[VMWARE_MOREF_MAX], struct err *err);

/* Take a moref out of an answer; false: longer than any. */
bool moref_take(char to[VMWARE_MOREF_MAX], const char *text);

bool call_is_fault(const struct vmware_session *session, const char *type);

/* Log in again, with everything that was known. */
int session_login_again(struct vmware_session *session, struct err *err);

/* Sleep, looking at cancelled: ERR_CANCELLED. */
int session_sleep_ms(struct vmware_session *session, int ms, struct err *err);
bool session_is_cancelled(const struct vmware_session *session);

#endif

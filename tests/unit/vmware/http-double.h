/* Stands in for wire/http at link time: plays an exchange after the other, and holds each request
 * against what the test expects. */
#ifndef TEST_HTTP_DOUBLE_H
#define TEST_HTTP_DOUBLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/err.h"

#define DOUBLE_EXPECT_MAX 6

struct exchange {
    const char *expect[DOUBLE_EXPECT_MAX]; /* all in "METHOD url\nheaders\n\nbody" */
    const char *forbid;                    /* not in it; or NULL */
    bool fresh;          /* on a connection of its own: nobody below may send it twice */
    int status;          /* 0: the connection breaks */
    const char *headers; /* "Name: value\n..." of the answer; or NULL */
    const char *body;
};

/* From here on these, in this order. They must outlive the test. */
void double_play(const struct exchange *exchanges, size_t n);
#define PLAY(list) double_play(list, sizeof(list) / sizeof(list[0]))

/* All were asked for. */
void double_done(void);

/* What was sent last. */
const char *double_last_request(void);

/* ---- pieces of answers ---- */

#define ENVELOPE(content)                                                                          \
    "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv="                                      \
    "\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsi="                                     \
    "\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>" content                         \
    "</soapenv:Body></soapenv:Envelope>"
#define RESPONSE(method, content)                                                                  \
    ENVELOPE("<" method "Response xmlns=\"urn:vim25\">" content "</" method "Response>")
#define FAULT(type, message, fields)                                                               \
    ENVELOPE("<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>" message          \
             "</faultstring><detail><" type "Fault xmlns=\"urn:vim25\" xsi:type=\"" type           \
             "\">" fields "</" type "Fault></detail></soapenv:Fault>")

#define VERSIONS                                                                                   \
    {                                                                                              \
        .expect = { "GET https://vc.test:443/sdk/vimServiceVersions.xml" }, .status = 200,         \
        .body = "<namespaces><namespace><name>urn:vim25</name><version>8.0.9.9</version>"          \
                "<priorVersions><version>6.0</version><version>7.0</version></priorVersions>"      \
                "</namespace></namespaces>",                                                       \
    }
#define CONTENT_OF(type)                                                                           \
    RESPONSE("RetrieveServiceContent",                                                             \
             "<returnval><rootFolder type=\"Folder\">group-d1</rootFolder>"                        \
             "<propertyCollector type=\"PropertyCollector\">collector-7</propertyCollector>"       \
             "<viewManager type=\"ViewManager\">views-7</viewManager><about><name>x</name>"        \
             "<fullName>VMware vCenter Server 8.0.2 build-1</fullName><version>8.0.2</version>"    \
             "<build>1</build><apiType>" type "</apiType><apiVersion>8.0.2.0</apiVersion>"         \
             "<instanceUuid>u</instanceUuid></about>"                                              \
             "<sessionManager type=\"SessionManager\">sessions-7</sessionManager>"                 \
             "<searchIndex type=\"SearchIndex\">search-7</searchIndex>"                            \
             "<authorizationManager type=\"AuthorizationManager\">rights-7</authorizationManager>" \
             "</returnval>")
#define CONTENT                                                                                    \
    {                                                                                              \
        .expect = { "<RetrieveServiceContent xmlns=\"urn:vim25\">" }, .status = 200,               \
        .body = CONTENT_OF("VirtualCenter"),                                                       \
    }
#define LOGIN_ANSWER                                                                               \
    RESPONSE("Login", "<returnval><key>key-1</key><userName>u</userName></returnval>")
#define LOGIN_AS(cookie)                                                                           \
    {                                                                                              \
        .expect = { "<Login ", "<userName>root</userName>", "<password>p&amp;w</password>" },      \
        .forbid = "\nCookie:", .status = 200,                                                      \
        .headers = "Set-Cookie: vmware_soap_session=" cookie "; Path=/; HttpOnly; Secure\n",       \
        .body = LOGIN_ANSWER,                                                                      \
    }
#define LOGIN LOGIN_AS("\"one\"")
#define LOGOUT                                                                                     \
    {                                                                                              \
        .expect = { "<Logout " }, .status = 200, .body = RESPONSE("Logout", ""),                   \
    }
#define OBJECT(type, moref, sets)                                                                  \
    "<objects><obj type=\"" type "\">" moref "</obj>" sets "</objects>"
#define SET(name, value)                                                                           \
    "<propSet><name>" name "</name><val xsi:type=\"xsd:string\">" value "</val></propSet>"
#define PROPERTIES(content) RESPONSE("RetrievePropertiesEx", "<returnval>" content "</returnval>")
#define REF(method, type, moref)                                                                   \
    RESPONSE(method, "<returnval type=\"" type "\">" moref "</returnval>")

struct vmware_session;
/* Logged in to vc.test as root with "p&w": plays VERSIONS, CONTENT and LOGIN first. */
struct vmware_session *double_login(void);
/* And out again, after all that was played has been asked for: plays LOGOUT. */
void double_logout(struct vmware_session *session);

#endif

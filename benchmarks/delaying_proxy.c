/* A TCP proxy that holds every byte for a fixed time each way: a far server on a machine that has none.

       delaying_proxy TO_PORT MICROSECONDS_EACH_WAY

   Listens on a free port of 127.0.0.1 and prints it; connects each connection to 127.0.0.1:TO_PORT. One thread, one
   epoll. Bytes are delayed and not paced: what comes 1 ms later leaves 1 ms later, on any number of connections at once.
   A new connection is read only after a round trip, which a handshake over a real line takes. Each direction holds at
   most WINDOW bytes, as the window of a real connection does. On SIGTERM or SIGINT it prints what it carried and what
   processor time that took (one line of JSON), and ends; it ends with its parent, too. */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024, WINDOW = 8 * 1024 * 1024, EVENTS = 256 };
enum kind { DATA, END, START };

struct connection;

struct chunk {
    struct chunk *later;  /* in its list of times */
    struct chunk *behind; /* in its side's queue */
    struct side *to;
    uint64_t due;
    enum kind kind;
    uint32_t size, done;
    char bytes[CHUNK];
};

/* One end of a connection, with what waits to be written to it. */
struct side {
    struct connection *of;
    struct side *peer;
    struct chunk *first, *last;
    uint64_t queued; /* bytes */
    unsigned ripe;   /* chunks at the head of the queue whose time has come */
    int fd, readable, writable, open_to_read, closed_to_write;
    int at_end; /* its end has come: no further event does */
};

struct connection {
    struct side client, server;
    struct connection *next_dead;
    unsigned chunks; /* that are not written yet */
    int dead;
};

/* Chunks of one delay come in the order of their times. */
struct times {
    struct chunk *first, *last;
    uint64_t delay;
};

static struct times one_way, round_trip;
static struct chunk *spare;
static struct connection *all_dead;
static int poller, timer;
static uint64_t timer_set, connections, bytes_up, bytes_down;
static uint16_t to_port;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static struct chunk *new_chunk(enum kind kind, struct side *to) {
    struct chunk *made = spare;
    if (made)
        spare = made->behind;
    else if (!(made = malloc(sizeof *made)))
        fail("malloc");
    made->kind = kind;
    made->to = to;
    made->size = made->done = 0;
    made->later = made->behind = NULL;
    to->of->chunks++;
    return made;
}

static void free_chunk(struct chunk *chunk) {
    chunk->to->of->chunks--;
    chunk->behind = spare;
    spare = chunk;
}

static void schedule(struct times *times, struct chunk *chunk) {
    chunk->due = now_ns() + times->delay;
    if (times->last)
        times->last->later = chunk;
    else
        times->first = chunk;
    times->last = chunk;
}

static void enqueue(struct chunk *chunk) {
    struct side *to = chunk->to;
    if (to->last)
        to->last->behind = chunk;
    else
        to->first = chunk;
    to->last = chunk;
    to->queued += chunk->size;
    schedule(&one_way, chunk);
}

/* Its descriptors are closed at once; its memory goes when no event and no list of times can name it any more. */
static void cut(struct connection *connection) {
    if (connection->dead)
        return;
    connection->dead = 1;
    connection->next_dead = all_dead;
    all_dead = connection;
    close(connection->client.fd);
    close(connection->server.fd);
    struct side *sides[] = {&connection->client, &connection->server};
    for (int i = 0; i < 2; i++) {
        /* What is ripe has left the lists of times already. */
        for (; sides[i]->ripe; sides[i]->ripe--) {
            struct chunk *chunk = sides[i]->first;
            sides[i]->first = chunk->behind;
            free_chunk(chunk);
        }
    }
}

static void read_from(struct side *from) {
    struct side *to = from->peer;
    while (from->readable && from->open_to_read && !from->of->dead && to->queued < WINDOW) {
        struct chunk *chunk = new_chunk(DATA, to);
        ssize_t count = read(from->fd, chunk->bytes, CHUNK);
        if (count > 0) {
            chunk->size = (uint32_t)count;
            *(from == &from->of->client ? &bytes_up : &bytes_down) += (uint64_t)count;
            from->readable = count == CHUNK || from->at_end;
            enqueue(chunk);
        } else if (count == 0) {
            from->open_to_read = 0;
            chunk->kind = END;
            enqueue(chunk);
        } else {
            int error = errno;
            free_chunk(chunk);
            if (error == EINTR)
                continue;
            from->readable = 0;
            if (error != EAGAIN)
                cut(from->of);
        }
    }
}

static void write_to(struct side *to) {
    while (to->ripe && to->writable && !to->of->dead) {
        struct chunk *chunk = to->first;
        if (chunk->kind == END) {
            shutdown(to->fd, SHUT_WR);
            to->closed_to_write = 1;
        } else {
            ssize_t count = send(to->fd, chunk->bytes + chunk->done, chunk->size - chunk->done, MSG_NOSIGNAL);
            if (count < 0 && errno == EINTR)
                continue;
            if (count < 0 && errno == EAGAIN) {
                to->writable = 0;
                return;
            }
            if (count < 0) {
                cut(to->of);
                return;
            }
            to->queued -= (uint64_t)count;
            chunk->done += (uint32_t)count;
            if (chunk->done < chunk->size)
                continue;
        }
        to->ripe--;
        to->first = chunk->behind;
        if (!to->first)
            to->last = NULL;
        free_chunk(chunk);
    }
    if (to->of->dead)
        return;
    if (to->closed_to_write && to->peer->closed_to_write)
        cut(to->of);
    else
        read_from(to->peer); /* there may be room again */
}

static void bury(void) {
    struct connection **at = &all_dead, *each;
    while ((each = *at)) {
        if (each->chunks) {
            at = &each->next_dead;
        } else {
            *at = each->next_dead;
            free(each);
        }
    }
}

static void run_due(struct times *times) {
    uint64_t now = now_ns();
    while (times->first && times->first->due <= now) {
        struct chunk *chunk = times->first;
        times->first = chunk->later;
        if (!times->first)
            times->last = NULL;
        struct side *to = chunk->to;
        if (to->of->dead) {
            free_chunk(chunk);
        } else if (chunk->kind == START) {
            free_chunk(chunk);
            to->open_to_read = 1;
            read_from(to);
        } else {
            to->ripe++;
            write_to(to);
        }
    }
}

static void watch(struct side *side) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = side};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, side->fd, &event) < 0)
        fail("epoll_ctl");
}

static void accept_all(int listener) {
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EAGAIN)
                fail("accept");
            return;
        }
        int onward = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(to_port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        if (onward < 0 || (connect(onward, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
            fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(onward, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *made = calloc(1, sizeof *made);
        if (!made)
            fail("calloc");
        connections++;
        made->client = (struct side){.of = made, .peer = &made->server, .fd = fd};
        made->server = (struct side){.of = made, .peer = &made->client, .fd = onward, .open_to_read = 1};
        watch(&made->client);
        watch(&made->server);
        schedule(&round_trip, new_chunk(START, &made->client));
    }
}

static void set_timer(void) {
    uint64_t next = 0;
    if (one_way.first)
        next = one_way.first->due;
    if (round_trip.first && (!next || round_trip.first->due < next))
        next = round_trip.first->due;
    if (!next || next == timer_set)
        return;
    timer_set = next;
    struct itimerspec at = {.it_value = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) < 0)
        fail("timerfd_settime");
}

static void report(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"user\": %.3f, \"system\": %.3f, \"connections\": %llu, \"bytes_up\": %llu, \"bytes_down\": %llu}\n",
           (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6,
           (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6, (unsigned long long)connections,
           (unsigned long long)bytes_up, (unsigned long long)bytes_down);
}

static int listen_and_say(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof here;
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, length) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&here, &length) < 0)
        fail("listen");
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: %s TO_PORT MICROSECONDS_EACH_WAY\n", arguments[0]);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    to_port = (uint16_t)atoi(arguments[1]);
    one_way.delay = strtoull(arguments[2], NULL, 10) * 1000u;
    round_trip.delay = 2 * one_way.delay;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int signals = signalfd(-1, &ends, SFD_CLOEXEC);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (signals < 0 || poller < 0 || timer < 0)
        fail("start");
    int listener = listen_and_say(), special[] = {listener, signals, timer};
    for (int i = 0; i < 3; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &special[i]};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, special[i], &event) < 0)
            fail("epoll_ctl");
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int seen = epoll_wait(poller, events, EVENTS, -1);
        if (seen < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < seen; i++) {
            void *who = events[i].data.ptr;
            if (who == &special[0]) {
                accept_all(listener);
            } else if (who == &special[1]) {
                report();
                return 0;
            } else if (who == &special[2]) {
                uint64_t times;
                if (read(timer, &times, sizeof times) > 0)
                    timer_set = 0;
            } else {
                struct side *side = who;
                if (side->of->dead)
                    continue;
                if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                    side->readable = 1;
                if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                    side->at_end = 1;
                if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                    side->writable = 1;
                read_from(side);
                if (!side->of->dead)
                    write_to(side);
            }
        }
        run_due(&round_trip);
        run_due(&one_way);
        bury();
        set_timer();
    }
}

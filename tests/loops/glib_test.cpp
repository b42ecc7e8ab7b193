#include <glib-unix.h>
#include <gtest/gtest.h>

#include "tests/loops/loop_test_kit.hpp"

namespace stoa {
namespace {

struct Loop {
    kit::Scene scene{};
    GMainLoop* loop = g_main_loop_new(nullptr, FALSE);
    int idle_calls = 0;
    bool hung = false;

    Loop() = default;
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop() { g_main_loop_unref(loop); }
};

gboolean on_readable(gint /*fd*/, GIOCondition /*condition*/, gpointer data) {
    Loop& self = *static_cast<Loop*>(data);
    self.scene.take_ready();
    if (!self.scene.done()) return G_SOURCE_CONTINUE;
    g_main_loop_quit(self.loop);
    return G_SOURCE_REMOVE;
}

gboolean on_tick(gpointer data) {
    ++static_cast<Loop*>(data)->idle_calls;
    return G_SOURCE_CONTINUE;
}

gboolean on_alarm(gpointer data) {
    Loop& self = *static_cast<Loop*>(data);
    self.hung = true;
    g_main_loop_quit(self.loop);
    return G_SOURCE_REMOVE;
}

TEST(Loops, GlibsMainLoopServesItBesideItsOwnSources) {
    Loop self;
    const guint set = g_unix_fd_add(self.scene.set().fd().value(), G_IO_IN, on_readable, &self);
    const guint tick = g_timeout_add(1, on_tick, &self);
    const guint alarm = g_timeout_add_seconds(30, on_alarm, &self);
    g_main_loop_run(self.loop);
    EXPECT_FALSE(self.hung);
    EXPECT_GT(self.idle_calls, 0);
    g_source_remove(tick);
    if (self.hung) {
        g_source_remove(set);
    } else {
        g_source_remove(alarm);
    }
}

}  // namespace
}  // namespace stoa

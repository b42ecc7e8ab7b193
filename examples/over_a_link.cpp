// What a link carries: a value filled in place, an open file, and who is at the other end.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>

#include "stoa/stoa.hpp"

struct Image {
    std::array<std::uint8_t, 200 * 100> pixels;
};

int main() {
    auto me = stoa::Process::join("screen").value();
    if (fork() == 0) {
        auto mine = stoa::Process::join("camera").value();
        // Whoever makes the link chooses: here at most two messages wait, each way.
        auto screen = mine.link("screen", {.capacity = stoa::bounded(2)}).value();
        auto image = screen.loan<Image>().value();  // memory in the link
        image->pixels.fill(7);
        image.commit().value();  // sent, and not copied
        const std::array file{fileno(tmpfile())};
        if (write(file[0], "f/8", 3) != 3) return 1;
        return screen.call<int>("the notes", {.fds = file}) ? 0 : 1;
    }
    const auto image = me.receive<Image>().value();  // in place: given back with `image`
    auto notes = me.receive<std::string>("camera").value();
    char text[4] = {};
    const bool read = pread(notes.fds().at(0).get(), text, 3, 0) == 3;
    const auto who = notes.credentials().value();  // the kernel's word
    notes.reply(0).value();
    std::cout << "pixel " << int{image->pixels[9]} << ", " << notes.text() << " of uid " << who.uid
              << ": " << text << '\n';
    int status = 1;
    wait(&status);
    return read && who.uid == getuid() ? status : 1;
}

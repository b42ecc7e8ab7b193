// Direct communication, asymmetric: the receiver names nobody, and learns who sent.
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "stoa/stoa.hpp"

int main() {
    constexpr int kClients = 3;
    auto server = stoa::Process::join("server").value();
    for (int i = 0; i < kClients; ++i) {
        if (fork() != 0) continue;
        auto me = stoa::Process::join("client" + std::to_string(i)).value();
        me.send("server", i).value();
        const int answer = me.receive<int>("server").value().value();
        _exit(answer == i * i ? 0 : 1);
    }
    for (int n = 0; n < kClients; ++n) {
        const auto message = server.receive<int>().value();
        const auto& [from, number] = message;
        std::cout << from << " sent " << number << '\n';
        server.send(from, number * number).value();
    }
    int failed = 0;
    for (int i = 0; i < kClients; ++i) {
        int status = 1;
        wait(&status);
        failed += status != 0 ? 1 : 0;
    }
    return failed;
}

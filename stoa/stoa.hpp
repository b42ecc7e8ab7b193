// The only header an application needs. It re-exports the public names and nothing else.
#pragma once

#include "stoa/base/deadline.hpp"
#include "stoa/base/error.hpp"
#include "stoa/mailbox/mailbox.hpp"
#include "stoa/mailbox/options.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"

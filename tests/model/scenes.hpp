#pragma once

#include "model/state.hpp"

#include <string>

// The small worlds that the model starts in.
namespace postern::model {

struct size_of_scene {
    int tokens = 1;
    int applications = 1;
    int apps = 1; // at Heroku
};

// The documents, named after the size.
setting setting_of(std::string name, size_of_scene size);

// A world in which there is nothing of ours, and some of others.
state nothing_yet(const setting& in, size_of_scene size);

// All is as declared, for the first time.
state provisioned(const setting& in, size_of_scene size);

// The day on which the credential that was made first is due to be replaced; nobody has done anything yet.
state due_for_rotation(const setting& in, size_of_scene size);

} // namespace postern::model

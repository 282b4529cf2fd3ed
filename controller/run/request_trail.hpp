#pragma once

#include "net/http.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Which requests were sent for which piece of work, and how urgent that is. Steps share their connections and run side
// by side; what tells them apart is the executor that each of them, and whatever it awaits, runs on. For one thread.
namespace postern::run {

class request_trail {
public:
    // From here on the ids of the requests of this work are kept.
    void begin(const boost::asio::any_io_executor& work, net::urgency lane);
    // Nothing: nobody began it, it is a look at the world.
    std::optional<net::urgency> lane_of(const boost::asio::any_io_executor& work) const;
    // This work has sent what changes something; and whether it has.
    void wrote(const boost::asio::any_io_executor& work);
    bool has_written(const boost::asio::any_io_executor& work) const;
    // How urgent it is to look: as urgent as what waits for it.
    void look_for(net::urgency lane) { looking_ = lane; }
    net::urgency looking() const { return looking_; }
    // The remote's id of a request; passed over where it is none, or where nobody asked about this work.
    void note(const boost::asio::any_io_executor& work, std::string_view id);
    // The ids in the order in which the answers came, the first few dozen of them; no more are kept of this work.
    std::vector<std::string> take(const boost::asio::any_io_executor& work);

private:
    struct entry {
        boost::asio::any_io_executor work;
        net::urgency lane;
        bool written = false;
        std::vector<std::string> ids = {};
    };
    std::list<entry>::iterator find(const boost::asio::any_io_executor& work);
    std::list<entry>::const_iterator find(const boost::asio::any_io_executor& work) const;

    std::list<entry> entries_;
    net::urgency looking_ = net::urgency::refresh;
};

} // namespace postern::run

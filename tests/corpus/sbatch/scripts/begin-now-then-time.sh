#!/bin/bash
#SBATCH -b now+1hour12:00
srun ./program
